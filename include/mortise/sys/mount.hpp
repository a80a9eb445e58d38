// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The descriptor-based mount interface (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2)), raw: each
/// function returns a descriptor or 0, or -errno, and neither allocates nor locks.

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cstdint>
#include <mortise/sys/call.hpp>
#include <string_view>

namespace mortise::sys {

inline long raw_fsopen(const char* type) { return call(SYS_fsopen, type, FSOPEN_CLOEXEC); }
inline long raw_fsconfig_flag(int context, const char* key) {
  return call(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, nullptr, 0);
}
inline long raw_fsconfig_string(int context, const char* key, const char* value) {
  return call(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
}
/// A directory by descriptor: overlayfs takes it from Linux 6.13 on, one of O_PATH from 6.14 on. Before, EINVAL and
/// EBADF; EOPNOTSUPP before 6.5.
inline long raw_fsconfig_fd(int context, const char* key, int fd) {
  return call(SYS_fsconfig, context, FSCONFIG_SET_FD, key, nullptr, fd);
}
inline long raw_fsconfig_create(int context) {
  return call(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
}
/// What a context said last, without its mark of how grave that is: "e overlay: ..." is an error.
constexpr std::string_view context_words(std::string_view said) {
  while (said.ends_with('\n')) said.remove_suffix(1);
  if (said.size() > 2 && said[1] == ' ') said.remove_prefix(2);
  return said;
}
/// A detached mount of a configured context, with MOUNT_ATTR_* flags.
inline long raw_fsmount(int context, std::uint64_t flags) {
  return call(SYS_fsmount, context, FSMOUNT_CLOEXEC, static_cast<unsigned>(flags));
}

/// A detached copy of the tree at `path`, which is not followed if it is a link and `follow` is false.
inline long raw_clone_tree(int directory, const char* path, bool recursive, bool follow = true) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U) |
                         (follow ? 0U : static_cast<unsigned>(AT_SYMLINK_NOFOLLOW));
  return call(SYS_open_tree, directory, path, flags);
}

/// Attaches a detached tree at the directory or file behind a descriptor.
inline long raw_attach(int tree, int target) {
  return call(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/// Attaches a detached tree at `name` in a directory; a link of that name is not followed.
inline long raw_attach_at(int tree, int directory, const char* name) {
  return call(SYS_move_mount, tree, "", directory, name, MOVE_MOUNT_F_EMPTY_PATH);
}

/// Sets MOUNT_ATTR_* flags on the mount whose root is behind a descriptor, on all below it if `recursive`.
inline long raw_set_mount_flags(int tree, std::uint64_t flags, bool recursive) {
  mount_attr change{};
  change.attr_set = flags;
  const unsigned how = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  return call(SYS_mount_setattr, tree, "", how, &change, sizeof change);
}

/// Shows the ids of a detached mount as a user namespace maps them: MOUNT_ATTR_IDMAP.
inline long raw_map_ids(int tree, int user_namespace) {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<std::uint64_t>(user_namespace);
  return call(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change);
}

}  // namespace mortise::sys
