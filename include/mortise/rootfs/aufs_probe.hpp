// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether this kernel has aufs, and a directory's file system can carry its writable branch: aufs(5).

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/trial.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

namespace detail {

/// In a mount namespace of its own, and gone with that. Asking for it loads the module.
inline long raw_try_aufs(const char* place) {
  const long alone = sys::call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (alone < 0) return alone;
  const long moved = sys::call(SYS_chdir, place);
  return moved < 0 ? moved : sys::call(SYS_mount, "aufs", "root", "aufs", 0UL, "dirs=upper=rw:lower=ro+wh,dirperm1");
}

inline absl::Status try_aufs(const std::string& place) {
  for (const char* const each : {"/lower", "/upper", "/root"}) MORTISE_RETURN_IF_ERROR(make_directory(place + each));
  MORTISE_ASSIGN_OR_RETURN(const int result,
                           sys::try_in_child(CLONE_NEWNS, [&place] { return raw_try_aufs(place.c_str()); }));
  if (result == 0) return absl::OkStatus();
  std::string_view why;
  if (result == -ENODEV) why = "the kernel has no aufs: it is not part of Linux, and few distributions add it";
  if (result == -EPERM) why = "needs CAP_SYS_ADMIN";
  if (result == -EINVAL) why = "the file system cannot carry it: an overlay, aufs or eCryptfs";
  return errno_error(-result, "mount aufs", why);
}

}  // namespace detail

/// Makes an aufs in a new directory below `directory`, for a moment, seen by nobody.
/// Fails with what is missing. Leaves nothing behind.
inline absl::Status probe_aufs(const std::string& directory) { return in_new_directory(directory, detail::try_aufs); }

}  // namespace mortise::rootfs
