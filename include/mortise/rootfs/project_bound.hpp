// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A bound on what lies in directories, held by the kernel: a project quota (ext4 and XFS mounted with `prjquota`).

#include <fcntl.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/project_quota.hpp>
#include <string>
#include <vector>

namespace mortise::rootfs {

/// Makes empty directories of one file system part of a new project: of one, or the kernel would not rename between
/// them. `most` bounds what they hold; zero is no bound yet. What keeps CAP_SYS_RESOURCE is above quotas.
/// Fails where the file system has no project quotas, or they are not the caller's to set.
/// Leaves behind: the project's bound, until `lift_bound` of the first directory.
inline absl::Status bound_by_project(const std::vector<std::string>& directories, bytes most) {
  std::vector<sys::unique_fd> opened;
  for (const std::string& each : directories) {
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd directory, sys::open(each, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    opened.push_back(std::move(directory));
  }
  MORTISE_ASSIGN_OR_RETURN(const std::uint32_t project, sys::new_project(opened.front().get(), most));
  absl::Status status;
  for (const sys::unique_fd& each : opened)
    if (status.ok()) status = sys::set_project(each.get(), project);
  if (!status.ok()) (void)sys::limit_project(opened.front().get(), project, {});
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
