// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A single layer as it lies in the store, read-only: the cheapest root of all.

#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/clone_probe.hpp>
#include <mortise/rootfs/directory.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// Effects: the one layer is the container's root, read-only with all that is mounted below it; every container
/// of the image shares it. Directories that other mounts need (/proc, /dev, volumes) must be in the image: they
/// cannot be made. A whiteout in the layer, which has nothing to hide, shows as a character device 0:0.
/// Fails with: INVALID_ARGUMENT for any other number of layers (the same one again does not count).
/// Leaves behind: `root`, the mount point, in the container's directory, until `destroy`.
template <class Format>
struct basic_bind {
  using layer_format = Format;
  static constexpr std::string_view name = Format::keeps_owners ? "bind" : "unprivileged-bind";

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(const model::slot tree, show(what, plan));
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(make_directory(root));
    plan.add(model::stage::root, model::op::enter_root{tree, root});
    return model::rootfs{};
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(const auto layers, visible_layers<Format>(what.layers));
    if (layers.size() != 1) {
      return error(absl::StatusCode::kInvalidArgument,
                   concat("provision bind: the image has ", layers.size(),
                          " layers, and a bind shows exactly one: use the overlay or the copy backend"));
    }
    const model::slot tree = plan.new_slot();
    // Not at stage::host, where mounts may still be shared with the host, and the clone with them.
    plan.add(model::stage::root, model::op::clone_tree{layers.front(), tree, true, model::mount_flag::read_only});
    return tree;
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return destroy_directory(directory); }

  /// Shares a directory there, read-only, for a moment.
  absl::Status probe(const std::string& directory) const {
    return annotate(probe_clone<Format>(directory, model::mount_flag::read_only),
                    concat(name, " in '", directory, '\''));
  }
};

using bind = basic_bind<model::overlay_layers>;
using unprivileged_bind = basic_bind<model::unprivileged_overlay_layers>;

static_assert(backend<bind> && shows<bind> && probes<bind> && backend<unprivileged_bind>);

}  // namespace mortise::rootfs
