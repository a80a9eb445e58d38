// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Trying something in a short-lived process with namespaces of its own: clone(2), user_namespaces(7).

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/sys/call.hpp>
#include <string>

namespace mortise::sys {

namespace detail {

inline long raw_write_file(const char* path, const std::string& text) {
  const long fd = call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const long put = call(SYS_write, fd, text.data(), text.size());
  call(SYS_close, fd);
  return put < 0 ? put : 0;
}

}  // namespace detail

/// Runs `what`, which returns 0 or -errno, in a child with the namespaces of `flags` (CLONE_NEW*), and returns what it
/// returned. In a user namespace the child is root, and the caller outside. `what` makes raw system calls only: other
/// threads may have held locks. The caller is not sent a signal.
/// Fails as clone(2) does. Leaves nothing behind.
template <class What>
absl::StatusOr<int> try_in_child(unsigned long flags, What what) {
  const std::string uid_map = concat("0 ", ::geteuid(), " 1\n");
  const std::string gid_map = concat("0 ", ::getegid(), " 1\n");
  const long child = call(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
  if (child < 0) return errno_error(static_cast<int>(-child), "make a process to try in");
  if (child == 0) {
    long result = 0;
    if ((flags & CLONE_NEWUSER) != 0) {
      detail::raw_write_file("/proc/self/setgroups", "deny");
      result = detail::raw_write_file("/proc/self/uid_map", uid_map);
      if (result == 0) result = detail::raw_write_file("/proc/self/gid_map", gid_map);
    }
    if (result == 0) result = what();
    call(SYS_exit_group, result < 0 ? -result : 0);
  }
  int status = 0;
  while (::waitpid(static_cast<pid_t>(child), &status, __WALL) < 0)
    if (errno != EINTR) return errno_error(errno, "wait for the process that tries");
  if (WIFEXITED(status)) return -WEXITSTATUS(status);
  return error(absl::StatusCode::kInternal, "the process that tries was killed");
}

}  // namespace mortise::sys
