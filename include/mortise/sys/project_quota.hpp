// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Project quotas of ext4 and XFS: how much the files below a directory may take. quotactl(2), ioctl_xfs_fsgetxattr(2).

#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/sys/call.hpp>
#include <optional>

namespace mortise::sys {

/// What a project has used of what it may.
struct project_use {
  bytes used;
  bytes limit;  ///< zero is none
  std::uint64_t inodes = 0;
};

namespace detail {

/// By a descriptor of any file of the file system: Linux 5.14.
inline long raw_project_quota(int fd, unsigned command, std::uint32_t project, if_dqblk* what) {
#ifdef SYS_quotactl_fd
  return call(SYS_quotactl_fd, fd, command << SUBCMDSHIFT | PRJQUOTA, project, what);
#else
  return -ENOSYS;
#endif
}

inline std::uint32_t random_project() {
  std::uint32_t out = 0;
  while (::getrandom(&out, sizeof out, 0) != static_cast<ssize_t>(sizeof out)) continue;
  return (out & 0x3fffffff) | 0x40000000;  // clear of the numbers that people give
}

}  // namespace detail

/// What a project of a directory's file system has used. Nothing where the file system has no project quotas.
inline std::optional<project_use> use_of_project(int directory, std::uint32_t project) {
  if_dqblk got{};
  if (detail::raw_project_quota(directory, Q_GETQUOTA, project, &got) < 0) return std::nullopt;
  return project_use{{got.dqb_curspace}, {got.dqb_bhardlimit << 10}, got.dqb_curinodes};
}

/// The project of a directory; 0 is none.
inline std::uint32_t project_of(int directory) {
  fsxattr about{};
  return ::ioctl(directory, FS_IOC_FSGETXATTR, &about) == 0 ? about.fsx_projid : 0;
}

/// Makes an empty directory, and all that comes to be in it, part of a project.
inline absl::Status set_project(int directory, std::uint32_t project) {
  fsxattr about{};
  if (::ioctl(directory, FS_IOC_FSGETXATTR, &about) != 0) return errno_error(errno, "get project of directory");
  about.fsx_projid = project;
  about.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (::ioctl(directory, FS_IOC_FSSETXATTR, &about) != 0) return errno_error(errno, "set project of directory");
  return absl::OkStatus();
}

/// Bounds what a project may take; zero lifts the bound.
inline absl::Status limit_project(int directory, std::uint32_t project, bytes most) {
  if_dqblk wanted{};
  wanted.dqb_bhardlimit = (most.count + 1023) >> 10;
  wanted.dqb_valid = QIF_BLIMITS;
  const long done = detail::raw_project_quota(directory, Q_SETQUOTA, project, &wanted);
  return done < 0 ? errno_error(static_cast<int>(-done), "limit project") : absl::OkStatus();
}

/// A project that nobody uses, bounded. Fails where the file system has no project quotas, or without CAP_SYS_ADMIN.
inline absl::StatusOr<std::uint32_t> new_project(int directory, bytes most) {
  for (int attempt = 0; attempt < 16; ++attempt) {
    const std::uint32_t project = detail::random_project();
    const auto use = use_of_project(directory, project);
    if (use && (use->used.count != 0 || use->limit.count != 0 || use->inodes != 0)) continue;
    MORTISE_RETURN_IF_ERROR(limit_project(directory, project, most));
    return project;
  }
  return error(absl::StatusCode::kResourceExhausted, "choose a project: all are used");
}

}  // namespace mortise::sys
