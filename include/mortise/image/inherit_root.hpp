// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The root directory of a layer whose tar does not name it: it looks as in the layer below. Where layers are
/// stacked the top one's root shows, so without this any small layer would undo what the base says of "/".

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <utility>

namespace mortise::image {

namespace detail {

/// Attributes that belong to the file, as against those that overlayfs keeps for itself.
inline absl::StatusOr<std::map<std::string, std::string>> own_xattrs(int directory) {
  std::map<std::string, std::string> out;
  MORTISE_ASSIGN_OR_RETURN(const auto names, sys::list_xattrs(directory));
  for (const std::string& name : names) {
    if (name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") || name == "security.selinux")
      continue;
    MORTISE_ASSIGN_OR_RETURN(out[name], sys::get_xattr(directory, name));
  }
  return out;
}

}  // namespace detail

/// Gives the directory `root` the owner, mode, attributes and times of `below`. True where that changed more
/// than the times: the layer is right only above this one then.
inline absl::StatusOr<bool> inherit_root(int below, int root) {
  struct stat from{};
  struct stat to{};
  if (::fstat(below, &from) != 0 || ::fstat(root, &to) != 0) return errno_error(errno, "stat the root of a layer");
  MORTISE_ASSIGN_OR_RETURN(const auto wanted, detail::own_xattrs(below));
  MORTISE_ASSIGN_OR_RETURN(const auto present, detail::own_xattrs(root));
  const bool differs =
      from.st_mode != to.st_mode || from.st_uid != to.st_uid || from.st_gid != to.st_gid || wanted != present;
  if (differs && ::fchown(root, from.st_uid, from.st_gid) != 0)
    return errno_error(errno, "set owner of a layer's root");
  for (const auto& [name, value] : wanted) MORTISE_RETURN_IF_ERROR(sys::set_xattr(root, name, value));
  if (differs && ::fchmod(root, from.st_mode & 07777) != 0) return errno_error(errno, "set mode of a layer's root");
  const std::array<timespec, 2> times{from.st_atim, from.st_mtim};
  if (::futimens(root, times.data()) != 0) return errno_error(errno, "set times of a layer's root");
  return differs;
}

}  // namespace mortise::image
