// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What every backend does with a container's directory and with the layers that it is given.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// A directory of the container's own. It must not be there yet: what a dead process left is `destroy`ed first.
inline absl::Status make_directory(const std::string& path, mode_t mode = S_IRWXU) {
  if (::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  return errno_error(errno, concat("make directory '", path, '\''),
                     errno == EEXIST ? "a root was provisioned here before: destroy it first" : "");
}

/// Calls `what(path)` with a new directory below `directory`, for a probe, and removes that again.
template <class What>
absl::Status in_new_directory(const std::string& directory, What what) {
  std::string place = directory + "/probe-XXXXXX";
  if (::mkdtemp(place.data()) == nullptr) return errno_error(errno, concat("make a directory in '", directory, '\''));
  const absl::Status status = what(std::as_const(place));
  return first_error(status, sys::remove_tree(place));
}

/// What every backend's `destroy` does: false if there was nothing. The backends' own mounts are seen by nobody else
/// and end with the last process in them; what somebody else has mounted over the root is detached, not emptied.
inline absl::StatusOr<bool> destroy_directory(const std::string& path) {
  // Mostly it holds an empty mount point and nothing else.
  if (::rmdir((path + "/root").c_str()) == 0 && ::rmdir(path.c_str()) == 0) return true;
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return errno_error(errno, concat("destroy root '", path, '\''));
  }
  while (::umount2((path + "/root").c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
  MORTISE_RETURN_IF_ERROR(annotate(sys::remove_tree(path), "destroy root"));
  return true;
}

/// Whether an attribute is overlayfs' own, and so part of a layer's form and not of its content.
constexpr bool is_overlay_xattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

/// Whether a layer's directory hides what lower layers have under its name.
template <class Format>
absl::StatusOr<bool> is_opaque(const std::string& path) {
  if constexpr (model::marked_by_names<Format>) {
    const std::string mark = concat(path, '/', Format::opaque_name);
    if (::faccessat(AT_FDCWD, mark.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (errno == ENOENT) return false;
    return errno_error(errno, concat("look for '", mark, '\''));
  } else {
    char value[2];
    const ssize_t size = ::getxattr(path.c_str(), Format::opaque_xattr, value, sizeof value);
    if (size >= 0) return size == 1 && value[0] == 'y';
    if (errno == ENODATA || errno == ENOTSUP || errno == ERANGE) return false;
    return errno_error(errno, concat("get extended attribute '", Format::opaque_xattr, '\''));
  }
}

/// What an entry deletes by its own name, if that is a mark: empty for a mark that deletes no name (aufs(5)).
template <class Format>
constexpr std::optional<std::string_view> deleted_by(std::string_view entry) {
  if constexpr (model::marked_by_names<Format>) {
    if (entry.starts_with(Format::whiteout_prefix)) {
      entry.remove_prefix(Format::whiteout_prefix.size());
      return entry.starts_with(Format::whiteout_prefix) ? std::string_view{} : entry;
    }
  }
  return std::nullopt;
}

/// The layers' directories that a container sees, top-most first. A directory that comes twice counts where it
/// is higher, since there it covers all that it would cover below (the kernel refuses it twice), and a layer
/// whose own root is opaque ends the list (the kernel does not look there).
template <class Format>
absl::StatusOr<std::vector<std::string>> visible_layers(const model::layers& layers) {
  std::vector<std::string> out;
  std::unordered_set<std::string_view> seen;
  for (auto each = layers.rbegin(); each != layers.rend(); ++each) {
    if (!seen.insert(each->directory).second) continue;
    out.push_back(each->directory);
    const auto last = each->opaque_root ? absl::StatusOr<bool>(*each->opaque_root) : is_opaque<Format>(each->directory);
    if (!last.ok()) return annotate(last.status(), concat("read layer '", each->directory, '\''));
    if (*last) break;
  }
  if (out.empty()) return error(absl::StatusCode::kInvalidArgument, "provision root: there is no layer");
  return out;
}

}  // namespace mortise::rootfs
