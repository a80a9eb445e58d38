// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The writable part of an overlay: directories of the container's own, bounded by a quota or in a tmpfs where that is
/// asked.

#include <unistd.h>

#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/rootfs.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/copy_inode.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/project_bound.hpp>
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

/// Makes both in a tmpfs of the child's, the upper one with the attributes of that which `like` is.
inline absl::StatusOr<upper_directories> bound_by_tmpfs(const request& what, const std::string& like,
                                                        model::plan& plan) {
  const std::string bounded = what.directory + "/bounded";
  MORTISE_RETURN_IF_ERROR(make_directory(bounded));
  const model::slot memory = plan.new_slot();
  plan.add(
      model::stage::root,
      model::op::new_filesystem{"tmpfs", memory, {{"mode", "700"}, {"size", std::to_string(what.writable.count)}}, 0});
  plan.add(model::stage::root, model::op::attach_on_host{memory, bounded});
  plan.add(model::stage::root, model::op::imitate_directory{like, {memory, "upper"}});
  plan.add(model::stage::root, model::op::make_directory{{memory, "work"}, 0700});
  return upper_directories{bounded + "/upper", bounded + "/work", true};
}

}  // namespace detail

/// Effects: makes both in the container's directory, with the attributes of the root behind `top`, which are those of
/// the merged root. A bound is held by a project quota where the file system has them (ext4 and XFS, mounted with
/// `prjquota`); else they are made in a tmpfs of that size, in the child's mount namespace, and extended attributes of
/// the root are left out. A container that keeps CAP_SYS_RESOURCE is above quotas.
/// Leaves behind: `upper`, `work` and `bounded` in the container's directory; a project's bound until `destroy_upper`.
template <class Format>
absl::StatusOr<upper_directories> make_upper(const request& what, int top, model::plan& plan) {
  upper_directories out{what.directory + "/upper", what.directory + "/work"};
  for (const auto& each : {out.upper, out.work}) MORTISE_RETURN_IF_ERROR(make_directory(each));
  const bool held = what.writable.count != 0 && bound_by_project({out.upper, out.work}, what.writable).ok();
  MORTISE_RETURN_IF_ERROR(copy_root_attributes<Format>(top, out.upper));
  if (what.writable.count == 0 || held) return out;
  return detail::bound_by_tmpfs(what, out.upper, plan);
}

/// For accounting.
inline model::rootfs writable_root(const upper_directories& of) {
  return {{of.upper, of.work}, of.is_private};  // a copy-up is written in `work` and then renamed
}

namespace detail {

/// What the kernel leaves in the work directory of a volatile overlay, by name: each of these has mode 0, and to list
/// them costs more than all else that there is to remove. What is not so is left to whoever lists.
inline void remove_work_of_volatile(const std::string& directory) {
  const std::string work = directory + "/work";
  if (::unlink((work + "/work/incompat/volatile/dirty").c_str()) != 0) return;
  for (const char* const each : {"/work/incompat/volatile", "/work/incompat", "/work"})
    if (::rmdir((work + each).c_str()) != 0) return;
}

}  // namespace detail

/// What `destroy` of a backend with these directories does: false if there was nothing.
inline absl::StatusOr<bool> destroy_upper(const std::string& directory) {
  lift_bound(directory + "/upper");
  detail::remove_work_of_volatile(directory);
  return destroy_directory(directory);
}

}  // namespace mortise::rootfs
