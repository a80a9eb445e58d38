// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Kernel interfaces that Debian 12's headers (Linux 6.1) do not declare yet, and nothing else.

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cstdint>

namespace mortise::sys {

/// ioctl(2) requests on a pidfd, Linux 6.13: `struct pidfd_info` and what to fill in.
struct pidfd_info {
  std::uint64_t mask = 0;
  std::uint64_t cgroupid = 0;
  std::uint32_t pid = 0, tgid = 0, ppid = 0, ruid = 0, rgid = 0, euid = 0, egid = 0, suid = 0, sgid = 0, fsuid = 0,
                fsgid = 0;
  std::int32_t exit_code = 0;
};
inline constexpr unsigned long pidfd_get_info = _IOWR(0xff, 11, pidfd_info);
/// Asks for `exit_code`, which is there once the process has been reaped: Linux 6.15.
inline constexpr std::uint64_t pidfd_info_exit = 8;

}  // namespace mortise::sys
