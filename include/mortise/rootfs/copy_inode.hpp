// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One inode's content and attributes copied to another: what `cp -a` does for a file, by descriptors.

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// Copies the content of regular files in the cheapest way that the two file systems know: shared extents
/// (ioctl_ficlone(2)), else inside the kernel (copy_file_range(2)), else through a buffer. Holes stay holes.
class content_copier {
 public:
  /// `to` is empty. Leaves behind on failure: what had been written.
  absl::Status copy(int from, int to, const struct stat& about) {
    if (about.st_size == 0) return absl::OkStatus();
    // Whatever stopped the cheaper ways, plain reading and writing either does not mind or says better.
    if (clones_) clones_ = ::ioctl(to, FICLONE, from) == 0;
    if (clones_) return absl::OkStatus();
    const bool has_holes = about.st_blocks < about.st_size / 512;
    return has_holes ? copy_segments(from, to, about.st_size) : copy_range(from, to, 0, about.st_size);
  }

 private:
  static constexpr std::size_t buffer_size = 256 << 10;

  absl::Status copy_segments(int from, int to, off_t size) {
    for (off_t at = 0; at < size;) {
      const off_t data = ::lseek(from, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // only a hole is left
      const off_t end = data < 0 ? size : ::lseek(from, data, SEEK_HOLE);
      if (end < 0) return errno_error(errno, "find hole");
      MORTISE_RETURN_IF_ERROR(copy_range(from, to, std::max<off_t>(data, at), end));
      at = end;
    }
    if (::ftruncate(to, size) != 0) return errno_error(errno, "set size");
    return absl::OkStatus();
  }

  absl::Status copy_range(int from, int to, off_t at, off_t end) {
    off_t out = at;
    while (ranges_ && at < end) {
      const ssize_t moved = ::copy_file_range(from, &at, to, &out, static_cast<std::size_t>(end - at), 0);
      if (moved <= 0 && !(moved < 0 && errno == EINTR)) ranges_ = false;
    }
    if (at < end && buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
    while (at < end) {
      MORTISE_RETURN_IF_ERROR(
          move_block(from, to, at, static_cast<std::size_t>(std::min<off_t>(end - at, buffer_size))));
    }
    return absl::OkStatus();
  }

  absl::Status move_block(int from, int to, off_t& at, std::size_t most) {
    ssize_t got = 0;
    while ((got = ::pread(from, buffer_.get(), most, at)) < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) return error(absl::StatusCode::kDataLoss, "read: the file is shorter than its size");
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::pwrite(to, buffer_.get() + done, static_cast<std::size_t>(got - done), at + done);
      if (put < 0 && errno != EINTR) return errno_error(errno, "write");
      done += std::max<ssize_t>(put, 0);
    }
    at += got;
    return absl::OkStatus();
  }

  bool clones_ = true;
  bool ranges_ = true;
  std::unique_ptr<std::byte[]> buffer_;
};

/// Whether a copy has this attribute too. Without privileges those of the security namespace (a file's
/// capabilities, a label) are not the caller's to give.
template <class Format>
constexpr bool keeps_xattr(std::string_view name) {
  return !is_overlay_xattr(name) && (Format::keeps_owners || !name.starts_with("security."));
}

/// Says whether there were any.
template <class Format>
absl::StatusOr<bool> copy_xattrs(int from, int to) {
  MORTISE_ASSIGN_OR_RETURN(const auto names, sys::list_xattrs(from));
  for (const auto& name : names) {
    if (!keeps_xattr<Format>(name)) continue;
    MORTISE_ASSIGN_OR_RETURN(const std::string value, sys::get_xattr(from, name));
    MORTISE_RETURN_IF_ERROR(sys::set_xattr(to, name, value));
  }
  return !names.empty();
}

/// The mode of the inode behind a descriptor, also an O_PATH one, which fchmod(2) refuses.
inline absl::Status set_mode(int fd, mode_t mode) {
  if (::fchmod(fd, mode) == 0) return absl::OkStatus();
  if (errno == EBADF && ::chmod(concat("/proc/self/fd/", fd).c_str(), mode) == 0) return absl::OkStatus();
  return errno_error(errno, "change mode");
}

/// With which mode a copy is made, so that it mostly has it already: what others may do later they may do now, since it
/// is made where they do not come, and set-user-ID comes last.
inline mode_t first_mode(const struct stat& about) { return (about.st_mode & 0777) | S_IRUSR | S_IWUSR; }

/// Owner, extended attributes, mode and times, in the one order in which none undoes another: chown(2) clears
/// set-user-ID and file capabilities, setxattr(2) of user.* wants a writable file, that of an ACL sets a mode, and all
/// change the ctime only. What `to` has already is left: of a new file mostly all but the times.
/// The descriptors may be O_PATH ones.
template <class Format>
absl::Status copy_attributes(int from, int to, const struct stat& about) {
  struct stat made{};
  if (::fstat(to, &made) != 0) return errno_error(errno, "stat the copy");
  const bool given = Format::keeps_owners && (made.st_uid != about.st_uid || made.st_gid != about.st_gid);
  if (given && ::fchownat(to, "", about.st_uid, about.st_gid, AT_EMPTY_PATH) != 0)
    return errno_error(errno, concat("change owner to ", about.st_uid, ':', about.st_gid));
  MORTISE_ASSIGN_OR_RETURN(const bool has_xattrs, copy_xattrs<Format>(from, to));
  const bool other_mode = given || has_xattrs || ((made.st_mode ^ about.st_mode) & 07777) != 0;
  // A link has no mode of its own.
  if (other_mode && !S_ISLNK(about.st_mode)) MORTISE_RETURN_IF_ERROR(set_mode(to, about.st_mode & 07777));
  const timespec times[] = {about.st_atim, about.st_mtim};
  if (::utimensat(to, "", times, AT_EMPTY_PATH) != 0) return errno_error(errno, "set times");
  return absl::OkStatus();
}

/// An overlay's root shows the upper directory's owner, mode, times and attributes: `upper` is made with those of the
/// root behind `from`.
template <class Format>
absl::Status make_upper_like(int from, const std::string& upper) {
  struct stat about{};
  if (::fstat(from, &about) != 0) return errno_error(errno, "stat the image's root");
  MORTISE_RETURN_IF_ERROR(make_directory(upper, first_mode(about) | S_IXUSR));
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd to, sys::open(upper, O_RDONLY | O_DIRECTORY));
  return annotate(copy_attributes<Format>(from, to.get(), about), concat("copy attributes to '", upper, '\''));
}

}  // namespace mortise::rootfs
