// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Leases: what keeps an image from being collected while somebody works with it, and the gate between those who take
/// leases and who collects.
///
/// Who is about to rely on parts of a store writes a lease first, and only then looks whether they are there. Who
/// collects shuts the gate, reads all leases, moves what nobody needs out of the way, and opens it again: a matter of
/// microseconds, since what was moved away is removed behind the open gate. So a lease is either seen by the collector,
/// or its holder sees what the collector has done; nobody waits for a pull, a launch or the removing of a tree.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/image.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// Held while leases are taken (shared, by any number) or while things are moved away (by one alone).
class gate {
 public:
  static absl::StatusOr<gate> share(const store_directory& store) { return enter(store, LOCK_SH, {}); }

  /// Fails with UNAVAILABLE where it could not be had for ten seconds.
  static absl::StatusOr<gate> shut(const store_directory& store) {
    return enter(store, LOCK_EX, std::chrono::steady_clock::now() + std::chrono::seconds(10));
  }

 private:
  using deadline = std::optional<std::chrono::steady_clock::time_point>;

  explicit gate(sys::unique_fd file) : file_(std::move(file)) {}

  static absl::StatusOr<gate> enter(const store_directory& store, int how, deadline until) {
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd file,
                             sys::open_at(store.fd(), "gate", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    while (::flock(file.get(), until ? how | LOCK_NB : how) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return errno_error(errno, concat("lock the gate of store '", store.path(), '\''));
      if (std::chrono::steady_clock::now() > *until)
        return error(absl::StatusCode::kUnavailable,
                     concat("lock the gate of store '", store.path(), "': it is in use all the time (try again)"));
      const timespec pause{0, 200'000};
      ::nanosleep(&pause, nullptr);
    }
    return gate(std::move(file));
  }

  sys::unique_fd file_;
};

/// What a lease is of: the image with this manifest, and its configuration, which is not there to be read yet when the
/// lease is taken.
struct leased_image {
  model::descriptor manifest;
  model::digest config;
};

/// A lease of this process, which the kernel ends with it, or of a container for as long as its directory is there.
class lease final : public model::hold {
 public:
  lease(const lease&) = delete;
  lease& operator=(const lease&) = delete;
  ~lease() override {
    struct stat about{};
    if (directory_.empty() || ::stat(directory_.c_str(), &about) != 0) ::unlink(path_.c_str());
  }

  /// The caller shares the gate.
  static absl::StatusOr<std::shared_ptr<lease>> take(const store_directory& store, const gate& /*shared*/,
                                                     const leased_image& of) {
    const std::string name = concat("leases/", container_id::random().text());
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd file,
                             sys::open_at(store.fd(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    std::shared_ptr<lease> out(new lease(concat(store.path(), '/', name), std::move(file)));
    while (::flock(out->file_.get(), LOCK_EX) !=
           0)  // at most for the moment in which somebody looks whether it is held
      if (errno != EINTR) return errno_error(errno, "lease image");
    const std::string text = concat("lease 1\nimage ", of.manifest.digest.text(), ' ', of.manifest.size, ' ',
                                    of.manifest.type.text(), '\n', "config ", of.config.text(), '\n');
    if (const absl::Status status = sys::write_all(out->file_.get(), text); !status.ok())
      return annotate(status, "lease image");
    return out;
  }

  absl::Status keep_while(const std::string& directory) override {
    const std::string line = concat("while ", directory, '\n');
    if (const absl::Status status = sys::write_all(file_.get(), line); !status.ok())
      return annotate(status, "lease image");
    directory_ = directory;
    return absl::OkStatus();
  }

 private:
  lease(std::string path, sys::unique_fd file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;  ///< and no descriptor of the directory: there may be a thousand of these
  sys::unique_fd file_;
  std::string directory_;
};

namespace detail {

/// What a lease's file says; nothing where it is not of this form. A line that was cut off by a full disk is none.
struct lease_text {
  std::optional<leased_image> image;
  std::string directory;
};

inline std::optional<leased_image> parse_leased(std::string_view image, std::string_view config) {
  const std::size_t first = image.find(' ');
  const std::size_t second = image.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  auto digest = model::digest::parse(image.substr(0, first));
  const auto size = parse_number<std::uint64_t>(image.substr(first + 1, second - first - 1));
  auto type = model::media_type::parse(image.substr(second + 1));
  auto config_digest = model::digest::parse(config);
  if (!digest.ok() || !size || !type.ok() || !config_digest.ok()) return std::nullopt;
  return leased_image{{*std::move(type), *std::move(digest), *size, {}, {}, {}, {}, {}}, *std::move(config_digest)};
}

inline lease_text parse_lease(std::string_view text) {
  lease_text out;
  std::string_view image;
  std::string_view config;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with("image ")) image = line.substr(6);
    if (line.starts_with("config ")) config = line.substr(7);
    if (line.starts_with("while ")) out.directory = line.substr(6);
  }
  out.image = parse_leased(image, config);
  return out;
}

}  // namespace detail

/// What is leased. With the gate shut it also removes the leases that nobody holds any more; without, the answer may be
/// out of date when it comes.
inline absl::StatusOr<std::vector<leased_image>> read_leases(const store_directory& store, const gate* shut = nullptr) {
  std::vector<leased_image> out;
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd leases,
                           sys::open_at(store.fd(), "leases", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(leases.get(), ".", [&](std::string_view entry, unsigned char) {
    const std::string name(entry);
    auto file = sys::open_at(leases.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file.ok()) return absl::IsNotFound(file.status()) ? absl::OkStatus() : file.status();
    MORTISE_ASSIGN_OR_RETURN(const std::string text, sys::read_all(file->get(), 64 << 10));
    const detail::lease_text read = detail::parse_lease(text);
    struct stat about{};
    const bool used = !read.directory.empty() && ::stat(read.directory.c_str(), &about) == 0;
    MORTISE_ASSIGN_OR_RETURN(const bool free, try_lock(file->get()));
    if ((!free || used) && read.image) out.push_back(*read.image);
    if (free && !used && shut != nullptr) ::unlinkat(leases.get(), name.c_str(), 0);
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace mortise::image
