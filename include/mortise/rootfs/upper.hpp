// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The writable part of an overlay: directories of the container's own, or, where it is bounded, of a tmpfs.

#include <unistd.h>

#include <mortise/base/status.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/rootfs.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/copy_inode.hpp>
#include <mortise/rootfs/directory.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// Where what a container writes goes. The kernel wants both in one file system.
struct upper_directories {
  std::string upper;
  std::string work;
};

/// Effects: makes both in the container's directory, with the attributes of the root behind `top`, which are those of
/// the merged root. With a bound, they are made in a tmpfs of that size, in the child's mount namespace; extended
/// attributes of the root are left out then. Leaves behind: `upper` and `work`, or `bounded`, in the container's
/// directory.
template <class Format>
absl::StatusOr<upper_directories> make_upper(const request& what, int top, model::plan& plan) {
  upper_directories out{what.directory + "/upper", what.directory + "/work"};
  MORTISE_RETURN_IF_ERROR(make_directory(out.upper));
  MORTISE_RETURN_IF_ERROR(copy_root_attributes<Format>(top, out.upper));
  if (what.writable.count == 0) {
    MORTISE_RETURN_IF_ERROR(make_directory(out.work));
    return out;
  }
  const std::string bounded = what.directory + "/bounded";
  MORTISE_RETURN_IF_ERROR(make_directory(bounded));
  const model::slot memory = plan.new_slot();
  plan.add(
      model::stage::root,
      model::op::new_filesystem{"tmpfs", memory, {{"mode", "700"}, {"size", std::to_string(what.writable.count)}}, 0});
  plan.add(model::stage::root, model::op::attach_on_host{memory, bounded});
  plan.add(model::stage::root, model::op::imitate_directory{out.upper, {memory, "upper"}});
  plan.add(model::stage::root, model::op::make_directory{{memory, "work"}, 0700});
  return upper_directories{bounded + "/upper", bounded + "/work"};
}

/// For accounting: what lies in memory goes with the container.
inline model::rootfs writable_root(const request& what, const upper_directories& of) {
  if (what.writable.count != 0) return {{what.directory + "/bounded"}};
  return {{of.upper, of.work}};  // a copy-up is written in `work` and then renamed
}

/// What the kernel leaves in the work directory of a volatile overlay, by name: each of these has mode 0, and to list
/// them costs more than all else that there is to remove. What is not so is left to whoever lists.
inline void remove_work_of_volatile(const std::string& directory) {
  const std::string work = directory + "/work";
  if (::unlink((work + "/work/incompat/volatile/dirty").c_str()) != 0) return;
  for (const char* const each : {"/work/incompat/volatile", "/work/incompat", "/work"})
    if (::rmdir((work + each).c_str()) != 0) return;
}

}  // namespace mortise::rootfs
