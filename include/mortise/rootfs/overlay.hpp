// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers stacked by the kernel: Documentation/filesystems/overlayfs.rst.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/overlay_probe.hpp>
#include <mortise/rootfs/stackable_layers.hpp>
#include <mortise/rootfs/upper.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// Effects: an overlay of the layers, made in the child's mount namespace. Of a writable one what the container writes
/// lies in `upper`; it is volatile: nothing is ever synced for it, since it ends with its container. A bound is held as
/// make_upper says. Of a read-only one the directories that other mounts need (/proc, /dev, volumes) must be in the
/// image. The cost does not grow with the layers' size; but of more layers than the kernel stacks the lowest are first
/// copied into one.
/// Fails with: what copying fails with, for so many layers; the kernel's refusals of a file system (another overlay as
/// a layer of a layer, no whiteouts) come from the launch, in the kernel's words, or before from `probe`.
/// Leaves behind: `root`, the mount point, and `upper`, `work`, `bounded`, `merged` and `empty` where they are needed,
/// in the container's directory, until `destroy`; no mount outside the child's namespace.
template <class Format, access Access = access::read_write>
struct basic_overlay {
  using layer_format = Format;
  static constexpr bool is_writable = Access == access::read_write;
  static constexpr bool limits_writes = is_writable;
  static constexpr std::string_view name =
      Format::keeps_owners ? (is_writable ? "overlay" : "read-only-overlay")
                           : (is_writable ? "unprivileged-overlay" : "unprivileged-read-only-overlay");
  static constexpr std::size_t most_layers = most_overlay_layers;

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    if constexpr (!is_writable) {
      MORTISE_ASSIGN_OR_RETURN(const model::slot shown, show(what, plan));
      plan.add(model::stage::root, model::op::enter_root{shown, what.directory + "/root"});
      return model::rootfs{};
    } else {
      MORTISE_ASSIGN_OR_RETURN(auto lower, lower_directories(what));
      const std::string root = what.directory + "/root";
      MORTISE_RETURN_IF_ERROR(make_directory(root));
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd top, sys::open(lower.front(), O_RDONLY | O_DIRECTORY));
      MORTISE_ASSIGN_OR_RETURN(const upper_directories on, make_upper<Format>(what, top.get(), plan));
      const model::slot merged = plan.new_slot();
      plan.add(model::stage::root,
               model::op::new_overlay{std::move(lower), on.upper, on.work, root, merged, !Format::keeps_owners, true});
      plan.add(model::stage::root, model::op::enter_root{merged, root});
      return writable_root(on);
    }
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto lower, lower_directories(what, least_read_only_layers));
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(make_directory(root));
    const model::slot tree = plan.new_slot();
    plan.add(model::stage::root,
             model::op::new_overlay{std::move(lower), {}, {}, root, tree, !Format::keeps_owners, false});
    return tree;
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return destroy_upper(directory); }

  /// Makes an overlay in the directory for a moment, as the caller or in a user namespace of its own.
  absl::Status probe(const std::string& directory) const {
    return annotate(probe_overlay<Format>(directory), concat(name, " in '", directory, '\''));
  }

 private:
  static absl::StatusOr<std::vector<std::string>> lower_directories(const request& what, std::size_t least = 1) {
    auto lower = stackable_layers<Format>(what, most_layers, least);
    if (!lower.ok()) return annotate(lower.status(), "provision overlay");
    return lower;
  }
};

using overlay = basic_overlay<model::overlay_layers>;
using read_only_overlay = basic_overlay<model::overlay_layers, access::read_only>;
/// In a user namespace of the caller's: Linux 5.11.
using unprivileged_overlay = basic_overlay<model::unprivileged_overlay_layers>;
using unprivileged_read_only_overlay = basic_overlay<model::unprivileged_overlay_layers, access::read_only>;

static_assert(backend<overlay> && shows<overlay> && probes<overlay> && backend<unprivileged_read_only_overlay>);

}  // namespace mortise::rootfs
