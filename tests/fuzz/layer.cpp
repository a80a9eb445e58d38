// SPDX-License-Identifier: Apache-2.0
/// \file
/// Layers unpacked over another layer: whatever is in the archive, nothing outside of its directory changes.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <digest/memory_reader.hpp>
#include <filesystem>
#include <fstream>
#include <fuzz/tar_mutator.hpp>
#include <fuzz/target.hpp>
#include <mortise/archive/apply.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <utility>

namespace {

namespace sys = mortise::sys;
namespace archives = mortise::archive;  // libarchive has a type called archive
namespace fs = std::filesystem;

/// All that a change to the tree below `directory` would show in, but for what lies below the name `but`.
std::string state_of(const fs::path& directory, std::string_view but) {
  std::set<std::string> lines;
  for (auto each = fs::recursive_directory_iterator(directory); each != fs::recursive_directory_iterator(); ++each) {
    const fs::path relative = each->path().lexically_relative(directory);
    if (relative == but) {
      each.disable_recursion_pending();
      continue;
    }
    struct stat about{};
    fuzz::require(::lstat(each->path().c_str(), &about) == 0, "what is there can be looked at", each->path().native());
    lines.insert(mortise::concat(relative.native(), ' ', about.st_ino, ' ', about.st_mode, ' ', about.st_nlink, ' ',
                                 about.st_size, ' ', about.st_mtim.tv_sec, '.', about.st_mtim.tv_nsec, '\n'));
  }
  return mortise::join(lines, "");
}

/// A layer below with one of everything, a file beside both layers, and the place for the layer itself.
class scene {
 public:
  scene() {
    isolate();
    fs::create_directories(lower_ / "directory/below");
    fs::create_directories(lower_ / "opaque");
    std::ofstream(lower_ / "file") << "of the layer below";
    std::ofstream(lower_ / "directory/below/file") << "deep in the layer below";
    fs::create_symlink("/", lower_ / "root");
    fs::create_symlink("../..", lower_ / "up");
    fs::create_symlink("loop", lower_ / "loop");
    fs::create_symlink("directory", lower_ / "link");
    std::ofstream(place_ / "sentinel") << "not to be touched";
    ::setxattr((lower_ / "opaque").c_str(), "user.overlay.opaque", "y", 1, 0);
    before_ = state_of(place_, "staging");
  }

  ~scene() { ::umount2(place_.c_str(), MNT_DETACH); }
  scene(const scene&) = delete;
  scene& operator=(const scene&) = delete;

  /// The layer's directory, new and empty.
  sys::unique_fd begin() {
    sys::remove_tree(staging_).IgnoreError();
    fuzz::require(fs::create_directory(staging_), "the layer's directory can be made");
    return fuzz::taken(sys::open(staging_, O_RDONLY | O_DIRECTORY), "it can be opened");
  }
  [[nodiscard]] sys::unique_fd lower() const {
    return fuzz::taken(sys::open(lower_, O_RDONLY | O_DIRECTORY), "the layer below can be opened");
  }
  void check_outside() const {
    const std::string now = state_of(place_, "staging");
    fuzz::require(now == before_, "nothing outside of the layer changes", now);
  }
  /// Whiteouts are the only devices, everything is ours, and nothing is shared with what lies outside.
  void check_inside(const archives::limits& limits) const {
    constexpr auto form = archives::marks::of<mortise::model::unprivileged_overlay_layers>();
    std::uint64_t count = 0;
    for (const auto& each : fs::recursive_directory_iterator(staging_)) {
      struct stat about{};
      const std::string path = each.path();
      fuzz::require(::lstat(path.c_str(), &about) == 0, "what was unpacked can be looked at", path);
      const bool device = S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode);
      const bool whiteout = form.is_whiteout(each.path().filename().string(), about);
      fuzz::require(!device || whiteout, "a layer has no devices", path);
      fuzz::require(!S_ISSOCK(about.st_mode), "a layer has no sockets", path);
      fuzz::require(about.st_uid == ::geteuid(), "everything is the caller's", path);
      fuzz::require(static_cast<std::uint64_t>(about.st_size) <= limits.unpacked.count, "no file is beyond the limit");
      ++count;
    }
    fuzz::require(count <= limits.entries, "no more entries than the limit", mortise::concat(count));
  }

 private:
  /// A small disk of our own, where that is allowed: an escape would then meet next to nothing.
  void isolate() const {
    if (::unshare(CLONE_NEWNS) != 0) return;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    ::mount("tmpfs", place_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,nr_inodes=4096");
  }

  support::temporary_directory directory_;
  fs::path place_ = directory_.path();
  fs::path lower_ = place_ / "lower";
  fs::path staging_ = place_ / "staging";
  std::string before_;
};

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  static scene here;
  const sys::unique_fd staging = here.begin();
  const sys::unique_fd lower = here.lower();
  const std::array<int, 1> layers{lower.get()};
  support::memory_reader source{std::string(input)};
  archives::apply_request request{.staging = staging.get()};
  request.lower = [&layers]() -> absl::StatusOr<std::span<const int>> { return layers; };
  request.limits = {.unpacked = {1 << 20}, .entries = 60, .depth = 20};
  request.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto applied = archives::apply<mortise::model::unprivileged_overlay_layers>(source, request);
  here.check_outside();
  here.check_inside(request.limits);
  if (!accepted(applied)) return applied.status();
  require(source.taken() == input.size(), "a layer is read to its end, so that all of it was verified");
  require(applied->bytes <= request.limits.unpacked.count, "no more bytes than the limit",
          mortise::concat(applied->bytes));
  return absl::OkStatus();
}
