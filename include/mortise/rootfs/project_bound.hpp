// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A bound on what lies in a directory, held by the kernel: a project quota (ext4 and XFS mounted with `prjquota`).

#include <fcntl.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/project_quota.hpp>
#include <string>

namespace mortise::rootfs {

/// Makes an empty directory, and all that comes into it, part of a new project. `most` bounds what it holds; zero is no
/// bound yet. What keeps CAP_SYS_RESOURCE is above quotas, and outside a user namespace an owner may take a file out of
/// its project (FS_IOC_FSSETXATTR).
/// Fails where the file system has no project quotas, or they are not the caller's to set.
/// Leaves behind: the project's bound, until `lift_bound` of the directory.
inline absl::Status bound_by_project(const std::string& directory, bytes most) {
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd opened, sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  MORTISE_ASSIGN_OR_RETURN(const std::uint32_t project, sys::new_project(opened.get(), most));
  const absl::Status status = sys::set_project(opened.get(), project);
  if (!status.ok()) (void)sys::limit_project(opened.get(), project, {});
  return status;
}

/// Bounds what may be added to a directory with a project.
inline absl::Status bound_growth(const std::string& directory, bytes most) {
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd opened, sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const std::uint32_t project = sys::project_of(opened.get());
  const auto use = sys::use_of_project(opened.get(), project);
  if (!use) return error(absl::StatusCode::kFailedPrecondition, concat("'", directory, "' has no project"));
  return sys::limit_project(opened.get(), project, {use->used.count + most.count});
}

/// The bound goes with the container: the directory itself says by which project it is held.
inline void lift_bound(const std::string& directory) {
  const auto opened = sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened.ok()) return;
  if (const std::uint32_t project = sys::project_of(opened->get()); project != 0)
    (void)sys::limit_project(opened->get(), project, {});
}

}  // namespace mortise::rootfs
