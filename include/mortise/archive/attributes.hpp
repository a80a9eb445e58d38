// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Owner, extended attributes, mode and times of what was unpacked: which of them are kept, and in which order.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mortise/archive/entry.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::archive {

/// Whether an image may set this extended attribute at all. Not those that speak for this machine's own policy
/// (SELinux, IMA, EVM), not NFSv4 ACLs (which depend on the file system), and never overlayfs' own, by which a layer
/// could show files of layers below it that it is not meant to reach.
constexpr bool image_may_set(std::string_view name) {
  return name != "security.selinux" && name != "security.ima" && name != "security.evm" && name != "system.nfs4_acl" &&
         !name.starts_with("trusted.overlay.") && !name.starts_with("user.overlay.");
}

/// The extended attribute in which a directory keeps what its new children inherit: acl(5).
inline constexpr std::string_view default_acl_xattr = "system.posix_acl_default";

/// Sets attributes in the order that keeps them: the owner first, because chown(2) clears set-user-ID bits and file
/// capabilities; then extended attributes; the mode; the times. What is right already is not set again: a file system
/// takes several times as long to change an inode as to show it.
class attribute_writer {
 public:
  /// Without `keeps_owners` everything stays the caller's, and only attributes in the user namespace are set.
  explicit attribute_writer(bool keeps_owners) : keeps_owners_(keeps_owners), uid_(::geteuid()), gid_(::getegid()) {}

  [[nodiscard]] bool may_set(std::string_view name) const {
    return image_may_set(name) && (keeps_owners_ || name.starts_with("user."));
  }
  /// How many extended attributes were left out because this file system or this caller cannot have them.
  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }

  /// What a regular file is made with: its mode if it is its owner's from the start, else nothing for others yet; and
  /// no set-user-ID bit before all of its content is there.
  [[nodiscard]] mode_t first_mode(const entry& about) const {
    const bool ours = !keeps_owners_ || (about.uid == uid_ && about.gid == gid_);
    return ours ? about.mode & 0777U : 0600U;
  }

  /// A regular file, open for writing.
  absl::Status finish_file(int fd, const entry& about) {
    struct stat made{};
    if (::fstat(fd, &made) != 0) return errno_error(errno, "stat");
    const bool moves = is_foreign(made, about);
    if (moves && ::fchown(fd, about.uid, about.gid) != 0) return owner_error(about);
    MORTISE_RETURN_IF_ERROR(set_xattrs(fd, about));
    const bool differs = moves || !about.xattrs.empty() || (made.st_mode & 07777U) != about.mode;
    if (differs && ::fchmod(fd, about.mode) != 0) return errno_error(errno, "change mode");
    const timespec times[] = {about.accessed, about.modified};
    if (::futimens(fd, times) != 0) return errno_error(errno, "set times");
    return absl::OkStatus();
  }

  /// Something that cannot be opened (a symbolic link) or should not be (a device, a FIFO).
  absl::Status finish_node(int directory, const char* name, const entry& about) {
    struct stat made{};
    if (::fstatat(directory, name, &made, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "stat");
    if (is_foreign(made, about) && ::fchownat(directory, name, about.uid, about.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return owner_error(about);
    if (!about.xattrs.empty()) {
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd node, sys::open_at(directory, name, O_PATH | O_NOFOLLOW));
      MORTISE_RETURN_IF_ERROR(set_xattrs(node.get(), about));
    }
    const bool has_mode = about.type != entry_type::symbolic_link;
    if (has_mode && ::fchmodat(directory, name, about.mode, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_error(errno, "change mode");
    const timespec times[] = {about.accessed, about.modified};
    if (::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "set times");
    return absl::OkStatus();
  }

  /// A directory's part that is set while it is still written to; the cursor gives it the rest (mode, times, default
  /// ACL) when it is left.
  absl::Status begin_directory(int fd, const entry& about) {
    struct stat made{};
    if (::fstat(fd, &made) != 0) return errno_error(errno, "stat");
    if (is_foreign(made, about) && ::fchown(fd, about.uid, about.gid) != 0) return owner_error(about);
    return set_xattrs(fd, about);
  }

  /// Takes away what an earlier entry set, before another one for the same directory.
  absl::Status clear_xattrs(int fd) const {
    MORTISE_ASSIGN_OR_RETURN(const std::vector<std::string> names, sys::list_xattrs(fd));
    for (const std::string& name : names)
      if (may_set(name)) MORTISE_RETURN_IF_ERROR(sys::remove_xattr(fd, name));
    return absl::OkStatus();
  }

 private:
  [[nodiscard]] bool is_foreign(const struct stat& made, const entry& about) const {
    return keeps_owners_ && (made.st_uid != about.uid || made.st_gid != about.gid);
  }

  absl::Status set_xattrs(int fd, const entry& about) {
    for (const xattr& each : about.xattrs) {
      const bool later = each.name == default_acl_xattr && about.type == entry_type::directory;
      if (later || !image_may_set(each.name)) continue;
      if (!may_set(each.name)) {
        ++skipped_;
        continue;
      }
      const absl::Status status = sys::set_xattr(fd, each.name, each.value);
      if (status.ok()) continue;
      if (!can_do_without(each.name, about.type, errno_of(status))) return status;
      ++skipped_;
    }
    return absl::OkStatus();
  }

  /// A file system may have no such attributes, and the kernel allows user.* on files and directories only: xattr(7).
  static bool can_do_without(std::string_view name, entry_type type, int problem) {
    if (problem == ENOTSUP) return true;
    const bool plain = type == entry_type::regular || type == entry_type::directory;
    return problem == EPERM && !plain && name.starts_with("user.");
  }

  static absl::Status owner_error(const entry& about) {
    const int problem = errno;
    std::string_view remedy;
    if (problem == EINVAL) remedy = "this user namespace does not map them";
    if (problem == EPERM) remedy = "needs root; without it unpack in the form model::unprivileged_overlay_layers";
    return errno_error(problem, concat("change owner to ", about.uid, ':', about.gid), remedy);
  }

  bool keeps_owners_;
  uid_t uid_;  ///< ours
  gid_t gid_;
  std::uint64_t skipped_ = 0;
};

}  // namespace mortise::archive
