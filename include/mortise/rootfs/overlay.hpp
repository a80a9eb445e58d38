// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers stacked by the kernel: Documentation/filesystems/overlayfs.rst.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/copy_inode.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::rootfs {

/// Effects: a writable overlay of the layers, made in the child's mount namespace; whatever the container writes
/// lies in `upper`. The cost does not grow with the layers' size. The overlay is volatile: nothing is ever
/// synced for it, since it ends with its container.
/// Fails with: INVALID_ARGUMENT for more layers than the kernel stacks; the kernel's refusals of a file system
/// (another overlay as a layer of a layer, no whiteouts) come from the launch, in the kernel's words.
/// Leaves behind: `upper`, `work` and `root`, the mount point, in the container's directory, until `destroy`;
/// no mount outside the child's namespace.
template <class Format>
struct basic_overlay {
  using layer_format = Format;
  static constexpr std::string_view name = Format::keeps_owners ? "overlay" : "unprivileged-overlay";
  /// OVL_MAX_STACK of fs/overlayfs.
  static constexpr std::size_t most_layers = 500;

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto lower, visible_layers<Format>(what.layers));
    if (lower.size() > most_layers) return too_many(lower.size());
    const std::string upper = what.directory + "/upper";
    const std::string work = what.directory + "/work";
    const std::string root = what.directory + "/root";
    for (const auto& each : {upper, work, root}) MORTISE_RETURN_IF_ERROR(make_directory(each));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd top, sys::open(lower.front(), O_RDONLY | O_DIRECTORY));
    MORTISE_RETURN_IF_ERROR(copy_root_attributes<Format>(top.get(), upper));
    const model::slot merged = plan.new_slot();
    plan.add(model::stage::root,
             model::op::new_overlay{std::move(lower), upper, work, root, merged, !Format::keeps_owners, true});
    plan.add(model::stage::root, model::op::enter_root{merged, root});
    return model::rootfs{{upper, work}};  // a copy-up is written in `work` and then renamed
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const {
    remove_work_of_volatile(directory);
    return destroy_directory(directory);
  }

 private:
  /// What the kernel leaves in the work directory of a volatile overlay, by name: each of these has mode 0, and to list
  /// them costs more than all else that there is to remove. What is not so is left to whoever lists.
  static void remove_work_of_volatile(const std::string& directory) {
    const std::string work = directory + "/work";
    if (::unlink((work + "/work/incompat/volatile/dirty").c_str()) != 0) return;
    for (const char* const each : {"/work/incompat/volatile", "/work/incompat", "/work"})
      if (::rmdir((work + each).c_str()) != 0) return;
  }

  static absl::Status too_many(std::size_t count) {
    return error(absl::StatusCode::kInvalidArgument,
                 concat("provision overlay: ", count, " layers, and the kernel stacks at most ", most_layers,
                        ": use the copy backend, or an image with fewer layers"));
  }
};

using overlay = basic_overlay<model::overlay_layers>;
/// In a user namespace of the caller's: Linux 5.11.
using unprivileged_overlay = basic_overlay<model::unprivileged_overlay_layers>;

static_assert(backend<overlay> && backend<unprivileged_overlay>);

}  // namespace mortise::rootfs
