// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether a directory's file system can carry the writable part of an overlay, and this kernel and caller make one:
/// Documentation/filesystems/overlayfs.rst, "Upper and Lower".

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/trial.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

namespace detail {

/// Without these the kernel makes an overlay, and it goes wrong later.
template <class Format>
absl::Status check_upper_file_system(const std::string& place) {
  if (::setxattr(place.c_str(), Format::opaque_xattr, "y", 1, 0) != 0)
    return errno_error(errno, concat("set '", Format::opaque_xattr, "'"), "the file system must have such attributes");
  bool knows_types = true;
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(AT_FDCWD, place, [&](std::string_view, unsigned char type) {
    knows_types = knows_types && type != DT_UNKNOWN;
    return absl::OkStatus();
  }));
  if (knows_types) return absl::OkStatus();
  return error(absl::StatusCode::kFailedPrecondition, "the file system does not tell types in directories (d_type)");
}

/// Detached: nobody sees it. From within the directory: names are short, and mounts those of this process.
inline long raw_try_overlay(const char* place, bool user_xattrs) {
  const sys::unique_fd context(static_cast<int>(sys::raw_fsopen("overlay")));
  long done = context ? sys::call(SYS_chdir, place) : context.get();
  const auto set = [&](const char* key, const char* value) {
    if (done >= 0) done = sys::raw_fsconfig_string(context.get(), key, value);
  };
  set("lowerdir", "lower");
  set("upperdir", "upper");
  set("workdir", "work");
  if (done >= 0 && user_xattrs) done = sys::raw_fsconfig_flag(context.get(), "userxattr");
  if (done >= 0) done = sys::raw_fsconfig_create(context.get());
  return done < 0 ? done : 0;
}

template <class Format>
absl::Status try_overlay(const std::string& place) {
  for (const char* const each : {"/lower", "/upper", "/work"}) MORTISE_RETURN_IF_ERROR(make_directory(place + each));
  MORTISE_RETURN_IF_ERROR(check_upper_file_system<Format>(place));
  constexpr unsigned long namespaces = Format::keeps_owners ? 0 : CLONE_NEWUSER | CLONE_NEWNS;
  MORTISE_ASSIGN_OR_RETURN(const int result, sys::try_in_child(namespaces, [&place] {
                             return raw_try_overlay(place.c_str(), !Format::keeps_owners);
                           }));
  if (result == 0) return absl::OkStatus();
  std::string_view why;
  if (result == -ENODEV) why = "the kernel has no overlayfs: CONFIG_OVERLAY_FS";
  if (result == -EPERM)
    why = Format::keeps_owners ? "needs CAP_SYS_ADMIN" : "overlays in user namespaces need Linux 5.11";
  if (result == -EINVAL) why = "the file system cannot carry it: another overlay, or a network file system";
  return errno_error(-result, "mount overlay", why);
}

}  // namespace detail

/// Makes an overlay in a new directory below `directory`, for a moment, seen by nobody.
/// Fails with what is missing. Leaves nothing behind.
template <class Format>
absl::Status probe_overlay(const std::string& directory) {
  return in_new_directory(directory, detail::try_overlay<Format>);
}

}  // namespace mortise::rootfs
