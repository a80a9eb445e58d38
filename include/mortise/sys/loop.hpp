// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Loop devices: a file as a block device, for file systems that mount nothing else. loop(4).

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/file.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <utility>

namespace mortise::sys {

/// A loop device of ours. The kernel frees it with the last who has it open: this descriptor, and a file system that
/// was mounted from it; so nothing is left behind, whatever becomes of this process.
struct loop_device {
  unique_fd fd;
  std::string path;
};

namespace detail {
inline absl::StatusOr<loop_device> attach_free_loop(int control, int file) {
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  for (int attempt = 0; attempt < 64; ++attempt) {
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) return errno_error(errno, "find a free loop device");
    loop_device out{{}, concat("/dev/loop", number)};
    MORTISE_ASSIGN_OR_RETURN(out.fd, open(out.path, O_RDONLY));
    if (::ioctl(out.fd.get(), LOOP_CONFIGURE, &config) == 0) return out;
    // EBUSY: another program was faster, which does not wait for the lock.
    if (errno != EBUSY) return errno_error(errno, concat("configure '", out.path, '\''));
  }
  return error(absl::StatusCode::kUnavailable, "find a free loop device: others take them all");
}
}  // namespace detail

/// Makes a free loop device show what is behind `file`, read-only. Callers wait for one another: of many who are told
/// of the same free device only one gets it.
/// Fails with PERMISSION_DENIED without CAP_SYS_ADMIN, NOT_FOUND where the kernel or /dev has no loop devices.
inline absl::StatusOr<loop_device> attach_loop(int file) {
  MORTISE_ASSIGN_OR_RETURN(const unique_fd control, open("/dev/loop-control", O_RDWR));
  while (::flock(control.get(), LOCK_EX) != 0)
    if (errno != EINTR) return errno_error(errno, "lock '/dev/loop-control'");
  auto out = detail::attach_free_loop(control.get(), file);
  ::flock(control.get(), LOCK_UN);  // by itself: a child that was forked meanwhile holds the descriptor too
  return out;
}

}  // namespace mortise::sys
