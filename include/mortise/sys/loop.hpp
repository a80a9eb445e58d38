// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Loop devices: a file as a block device, for file systems that mount nothing else. loop(4).

#include <fcntl.h>
#include <linux/loop.h>
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

/// Makes a free loop device show what is behind `file`, read-only.
/// Fails with PERMISSION_DENIED without CAP_SYS_ADMIN, NOT_FOUND where the kernel or /dev has no loop devices.
inline absl::StatusOr<loop_device> attach_loop(int file) {
  MORTISE_ASSIGN_OR_RETURN(const unique_fd control, open("/dev/loop-control", O_RDWR));
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  for (int attempt = 0; attempt < 64; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return errno_error(errno, "find a free loop device");
    loop_device out{{}, concat("/dev/loop", number)};
    MORTISE_ASSIGN_OR_RETURN(out.fd, open(out.path, O_RDONLY));
    if (::ioctl(out.fd.get(), LOOP_CONFIGURE, &config) == 0) return out;
    if (errno != EBUSY) return errno_error(errno, concat("configure '", out.path, '\''));  // EBUSY: another was faster
  }
  return error(absl::StatusCode::kUnavailable, "find a free loop device: others take them all");
}

}  // namespace mortise::sys
