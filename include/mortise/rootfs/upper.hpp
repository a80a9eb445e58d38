// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The writable part of an overlay: directories of the container's own, bounded by a quota or in a tmpfs where that is
/// asked.

#include <fcntl.h>
#include <unistd.h>

#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/rootfs.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/copy_inode.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/project_bound.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// Where what a container writes goes. The kernel wants both in one file system.
struct upper_directories {
  std::string upper;
  std::string work;
  bool is_private = false;  ///< in a tmpfs of the child's
};

namespace detail {

/// Makes both in a directory, the upper one with the attributes of the root behind `top`.
template <class Format>
absl::StatusOr<upper_directories> make_upper_in(const std::string& directory, int top) {
  upper_directories out{directory + "/upper", directory + "/work"};
  MORTISE_RETURN_IF_ERROR(make_upper_like<Format>(top, out.upper));
  MORTISE_RETURN_IF_ERROR(make_directory(out.work));
  return out;
}

/// Makes both in a tmpfs of the child's, the upper one with the attributes of that which `like` is.
inline upper_directories make_upper_in_tmpfs(const std::string& mount_point, bytes most, const std::string& like,
                                             model::plan& plan) {
  const model::slot memory = plan.new_slot();
  plan.add(model::stage::root,
           model::op::new_filesystem{"tmpfs", memory, {{"mode", "700"}, {"size", std::to_string(most.count)}}, 0});
  plan.add(model::stage::root, model::op::attach_on_host{memory, mount_point});
  plan.add(model::stage::root, model::op::imitate_directory{like, {memory, "upper"}});
  plan.add(model::stage::root, model::op::make_directory{{memory, "work"}, 0700});
  return {mount_point + "/upper", mount_point + "/work", true};
}

}  // namespace detail

/// Effects: makes both in the container's directory, with the attributes of the root behind `top`, which are those of
/// the merged root. Where there is a bound they lie in `bounded` there. It is held by a project quota where the file
/// system has them (ext4 and XFS, mounted with `prjquota`); else by a tmpfs of that size, in the child's mount
/// namespace, and extended attributes of the root are left out. A container that keeps CAP_SYS_RESOURCE is above
/// quotas.
/// Leaves behind: `upper`, `work` and `bounded` in the container's directory; a project's bound until `destroy_upper`.
template <class Format>
absl::StatusOr<upper_directories> make_upper(const request& what, int top, model::plan& plan) {
  if (what.writable.count == 0) return detail::make_upper_in<Format>(what.directory, top);
  const std::string bounded = what.directory + "/bounded";
  MORTISE_RETURN_IF_ERROR(make_directory(bounded));
  if (bound_by_project(bounded, what.writable).ok()) return detail::make_upper_in<Format>(bounded, top);
  MORTISE_ASSIGN_OR_RETURN(const auto like, detail::make_upper_in<Format>(what.directory, top));
  return detail::make_upper_in_tmpfs(bounded, what.writable, like.upper, plan);
}

/// For accounting.
inline model::rootfs writable_root(const upper_directories& of) {
  return {{of.upper, of.work}, of.is_private};  // a copy-up is written in `work` and then renamed
}

namespace detail {

/// What an overlay leaves into which nobody wrote, by name: in the work directory of a volatile one each has mode 0,
/// and to list them costs more than all else that there is to remove. What is not so is left to whoever lists.
inline void remove_unwritten(const std::string& directory) {
  const sys::unique_fd in(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (::unlinkat(in.get(), "work/work/incompat/volatile/dirty", 0) == 0) {
    for (const char* const each : {"work/work/incompat/volatile", "work/work/incompat", "work/work"})
      (void)::unlinkat(in.get(), each, AT_REMOVEDIR);
  }
  for (const char* const each : {"work", "upper"}) (void)::unlinkat(in.get(), each, AT_REMOVEDIR);
}

}  // namespace detail

/// What `destroy` of a backend with these directories does: false if there was nothing.
inline absl::StatusOr<bool> destroy_upper(const std::string& directory) {
  detail::remove_unwritten(directory);
  if (const std::string bounded = directory + "/bounded"; ::access(bounded.c_str(), F_OK) == 0) {
    lift_bound(bounded);
    detail::remove_unwritten(bounded);
  }
  return destroy_directory(directory);
}

}  // namespace mortise::rootfs
