// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a container has written into its root.

#include <fcntl.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/launch/process.hpp>
#include <mortise/model/rootfs.hpp>
#include <mortise/sys/disk_use.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/project_quota.hpp>
#include <optional>
#include <string>

namespace mortise::launch {

namespace detail {

/// The kernel's count, where all that is written belongs to a project.
inline std::optional<sys::disk_use> written_by_project(const std::string& directory) {
  const auto opened = sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened.ok()) return std::nullopt;
  const std::uint32_t project = sys::project_of(opened->get());
  const auto use = project == 0 ? std::nullopt : sys::use_of_project(opened->get(), project);
  return use ? std::optional(sys::disk_use{use->used, use->inodes}) : std::nullopt;
}

/// Through the process' own root, whose file system answers for the one that it writes to.
inline absl::StatusOr<sys::disk_use> written_in_private(const process& first) {
  const auto root = sys::open(concat("/proc/", first.pid(), "/root"), O_PATH | O_DIRECTORY);
  // The number may by now be another process': it was not while this one had not ended.
  if (!root.ok() || first.has_ended())
    return error(absl::StatusCode::kFailedPrecondition, "what it has written went with its first process");
  return sys::use_of_file_system(root->get());
}

}  // namespace detail

/// Counted by the kernel where the root has a project or a file system of its own; else by walking what was written,
/// at a cost that grows with it. A copied root counts whole; a read-only one is zero.
/// Fails with FAILED_PRECONDITION for a file system that went with the first process.
inline absl::StatusOr<sys::disk_use> written(const model::rootfs& root, const process& first) {
  if (root.writable.empty()) return sys::disk_use{};
  auto status = [&]() -> absl::StatusOr<sys::disk_use> {
    if (root.is_private) return detail::written_in_private(first);
    if (const auto counted = detail::written_by_project(root.writable.front())) return *counted;
    sys::use_counter counter;
    for (const std::string& each : root.writable) MORTISE_RETURN_IF_ERROR(counter.add(each));
    return counter.sum();
  }();
  if (!status.ok()) return annotate(status.status(), "count what was written");
  return status;
}

}  // namespace mortise::launch
