// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether this kernel and caller can show a directory elsewhere, by a detached copy of its mounts: open_tree(2).

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/trial.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

namespace detail {

inline long raw_try_clone(const char* place, std::uint64_t flags) {
  const sys::unique_fd tree(static_cast<int>(sys::raw_clone_tree(AT_FDCWD, place, true, false)));
  if (!tree || flags == 0) return tree ? 0 : tree.get();
  return sys::raw_set_mount_flags(tree.get(), flags, true);
}

template <class Format>
absl::Status try_clone(const std::string& place, std::uint64_t flags) {
  constexpr unsigned long namespaces = CLONE_NEWNS | (Format::keeps_owners ? 0 : CLONE_NEWUSER);
  MORTISE_ASSIGN_OR_RETURN(
      const int result, sys::try_in_child(namespaces, [&place, flags] { return raw_try_clone(place.c_str(), flags); }));
  if (result == 0) return absl::OkStatus();
  std::string_view why;
  if (result == -ENOSYS) why = "needs Linux 5.2, and 5.12 to be read-only";
  if (result == -EPERM) why = "needs CAP_SYS_ADMIN";
  return errno_error(-result, "share a directory", why);
}

}  // namespace detail

/// Copies the mounts of a new directory below `directory` with these mount_flags, for a moment, seen by nobody, as the
/// caller or in a user namespace of its own.
/// Fails with what is missing. Leaves nothing behind.
template <class Format>
absl::Status probe_clone(const std::string& directory, std::uint64_t flags) {
  return in_new_directory(directory,
                          [flags](const std::string& place) { return detail::try_clone<Format>(place, flags); });
}

}  // namespace mortise::rootfs
