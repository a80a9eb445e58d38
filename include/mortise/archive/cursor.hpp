// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The directory that is being written to, with the way down to it: where one is in a tree while a tar is unpacked.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/attributes.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::archive {

/// What a step down meets.
enum class step_result : std::uint8_t { entered, missing, not_a_directory };

/// Goes down one component at a time, by descriptor and never through a symbolic link, so that nothing in the tree
/// can lead out of it. A directory's mode and times are put right when it is left, deepest first: writing into it
/// changes its times, and its mode may forbid its owner to write. What has to be remembered for that is one level
/// for each component of where one is, whatever the number of directories in the layer.
class cursor {
 public:
  /// `root` stays the caller's.
  cursor(int root, const marks& form) : root_(root), marks_(form) { levels_.emplace_back(); }
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;

  /// The directory's descriptor and its path below the root (empty for the root).
  [[nodiscard]] int fd() const { return levels_.size() == 1 ? root_ : levels_.back().fd.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Whether nothing of lower layers shows here, because this directory or one above it is opaque.
  [[nodiscard]] bool hides_lower() const { return levels_.back().hides_lower; }

  /// Goes up to the deepest directory that is `directory` or above it.
  absl::Status ascend_towards(std::string_view directory) {
    while (levels_.size() > 1 && !is_at_or_above(directory)) MORTISE_RETURN_IF_ERROR(leave());
    return absl::OkStatus();
  }

  /// Goes down to `name`, if that is a directory; one that this layer deletes is not.
  absl::StatusOr<step_result> descend(const std::string& name) {
    level next;
    auto opened = open_directory(name, next);
    if (!opened.ok()) return opened.status();
    if (*opened != step_result::entered) return *opened;
    next.hides_lower = hides_lower() || (any_opaque_ && marks_.is_opaque(next.fd.get()));
    next.path_before = path_.size();
    if (!path_.empty()) path_.push_back('/');
    path_.append(name);
    levels_.push_back(std::move(next));
    return step_result::entered;
  }

  /// Goes up one level, and gives the directory its mode and times.
  absl::Status leave() {
    const absl::Status status = settle();
    if (!status.ok()) return annotate(status, concat("leave directory '", printable(path_), '\''));
    path_.resize(levels_.back().path_before);
    levels_.pop_back();
    return absl::OkStatus();
  }

  /// Goes up to the root, and gives it what `set_final` said of it.
  absl::Status finish() {
    while (levels_.size() > 1) MORTISE_RETURN_IF_ERROR(leave());
    return annotate(settle(), "leave root directory");
  }

  /// Says that something is going to be written into the directory, whose times are to survive that.
  void touch() { levels_.back().restore_times = true; }

  /// What the directory is to have when it is left.
  void set_final(mode_t mode, const timespec& accessed, const timespec& modified) {
    level& here = levels_.back();
    here.mode = mode;
    here.times[0] = accessed;
    here.times[1] = modified;
    here.default_acl.clear();
    here.restore_mode = here.restore_times = true;
  }
  /// The same for a default ACL, which must not be there while files are made that would inherit it. After set_final.
  void set_final_acl(std::string value) {
    levels_.back().default_acl = std::move(value);
    any_default_acl_ = true;
  }

  /// Makes the directory opaque.
  absl::Status hide_lower() {
    any_opaque_ = levels_.back().hides_lower = true;
    const absl::Status status = marks_.make_opaque(fd());
    return status.ok() ? status : annotate(status, concat("hide what is below directory '", printable(path_), '\''));
  }

 private:
  struct level {
    sys::unique_fd fd;
    std::size_t path_before = 0;  ///< the length of the path of the level above
    mode_t mode = 0;
    timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    std::string default_acl;
    bool restore_mode = false;
    bool restore_times = false;
    bool hides_lower = false;
  };

  [[nodiscard]] bool is_at_or_above(std::string_view directory) const {
    return directory.starts_with(path_) && (directory.size() == path_.size() || directory[path_.size()] == '/');
  }

  /// Opens `name` and notes what it has to be given back. Where its mode locks out its owner, it is changed until
  /// the directory is left.
  absl::StatusOr<step_result> open_directory(const std::string& name, level& into) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    into.fd.reset(::openat(fd(), name.c_str(), flags));
    struct stat about{};
    if (!into.fd && errno == EACCES && ::fstatat(fd(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(about.st_mode) && ::fchmodat(fd(), name.c_str(), 0700, 0) == 0)
      into.fd.reset(::openat(fd(), name.c_str(), flags));
    if (!into.fd && errno == ENOENT)
      return marks_.is_deleted(fd(), name) ? step_result::not_a_directory : step_result::missing;
    if (!into.fd && (errno == ENOTDIR || errno == ELOOP)) return step_result::not_a_directory;
    if (!into.fd) return errno_error(errno, concat("open directory '", printable(name), '\''), hint(errno));
    const mode_t locked = about.st_mode;
    if (::fstat(into.fd.get(), &about) != 0) return errno_error(errno, concat("stat '", printable(name), '\''));
    into.mode = (locked != 0 ? locked : about.st_mode) & 07777;
    into.times[0] = about.st_atim;
    into.times[1] = about.st_mtim;
    into.restore_mode = (into.mode & 0700) != 0700;
    if (into.restore_mode && ::fchmod(into.fd.get(), into.mode | 0700) != 0)
      return errno_error(errno, concat("change mode of '", printable(name), '\''));
    MORTISE_RETURN_IF_ERROR(take_default_acl(into));
    return step_result::entered;
  }

  absl::Status take_default_acl(level& into) const {
    if (!any_default_acl_ || ::fgetxattr(into.fd.get(), default_acl_xattr.data(), nullptr, 0) <= 0)
      return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(into.default_acl, sys::get_xattr(into.fd.get(), std::string(default_acl_xattr)));
    into.restore_times = true;
    return sys::remove_xattr(into.fd.get(), std::string(default_acl_xattr));
  }

  /// Gives the directory what it is to have; its times last, for the rest changes them.
  absl::Status settle() {
    level& here = levels_.back();
    if (!here.default_acl.empty()) {
      const absl::Status status = sys::set_xattr(fd(), std::string(default_acl_xattr), here.default_acl);
      if (!status.ok() && errno_of(status) != ENOTSUP) return status;
    }
    if (here.restore_mode && ::fchmod(fd(), here.mode) != 0) return errno_error(errno, "change mode");
    if (here.restore_times && ::futimens(fd(), here.times) != 0) return errno_error(errno, "set times");
    return absl::OkStatus();
  }

  static std::string_view hint(int problem) {
    return problem == EMFILE ? "a level of directories needs a descriptor: raise RLIMIT_NOFILE" : "";
  }

  int root_;
  marks marks_;
  std::string path_;
  std::vector<level> levels_;
  bool any_opaque_ = false;
  bool any_default_acl_ = false;
};

}  // namespace mortise::archive
