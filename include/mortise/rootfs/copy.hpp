// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers copied into a tree of the container's own: slow, and works on every file system.

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/clone_probe.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/merged_copy.hpp>
#include <mortise/rootfs/project_bound.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// Effects: a writable copy of the merged layers. Content is shared with them where the file system can
/// (Btrfs, XFS); else the cost grows with the image. Types, owners, modes, times, links, holes, devices and
/// extended attributes are the layers'. Without privileges owners are the caller's, and the security namespace
/// of attributes (file capabilities) is left out. A bound is held by a project quota, and counts what comes on top of
/// the copy.
/// Fails with: RESOURCE_EXHAUSTED when the file system is full; PERMISSION_DENIED, without privileges, for a file
/// that its own mode forbids the caller to read; each names the file and its layer. FAILED_PRECONDITION for a bound
/// where the file system has no project quotas.
/// Leaves behind: `root` in the container's directory, until `destroy`, after a failure as far as it had come.
template <class Format>
struct basic_copy {
  using layer_format = Format;
  static constexpr std::string_view name = Format::keeps_owners ? "copy" : "unprivileged-copy";
  static constexpr bool limits_writes = true;

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(const model::slot tree, copy_layers(what, plan, 0));
    const std::string root = what.directory + "/root";
    if (what.writable.count != 0) MORTISE_RETURN_IF_ERROR(bound_growth(root, what.writable));
    plan.add(model::stage::root, model::op::enter_root{tree, root});
    return model::rootfs{{root}};
  }

  /// A copy of its own for each container that shows it.
  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    return copy_layers(what, plan, model::mount_flag::read_only);
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const {
    lift_bound(directory + "/root");
    return destroy_directory(directory);
  }

  /// Any file system holds a copy; the root is entered as any other is.
  absl::Status probe(const std::string& directory) const {
    return annotate(probe_clone<Format>(directory, 0), concat(name, " in '", directory, '\''));
  }

 private:
  /// For all that comes into the directory from now on.
  static absl::Status make_bound(const std::string& root) {
    absl::Status made = bound_by_project(root, {});
    if (made.ok()) return made;
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("limit what may be written: a copy needs project quotas: ", message(made),
                        " (mount the file system with prjquota, or use the overlay backend)"));
  }

  static absl::StatusOr<model::slot> copy_layers(const request& what, model::plan& plan, std::uint64_t flags) {
    MORTISE_ASSIGN_OR_RETURN(const auto layers, visible_layers<Format>(what.layers));
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(make_directory(root));
    if (what.writable.count != 0) MORTISE_RETURN_IF_ERROR(make_bound(root));
    MORTISE_RETURN_IF_ERROR(annotate(merged_copy<Format>::run(layers, root), "provision copy"));
    const model::slot tree = plan.new_slot();
    // Not at stage::host, where mounts may still be shared with the host, and the copy with them.
    plan.add(model::stage::root, model::op::clone_tree{root, tree, true, flags});
    return tree;
  }
};

using copy = basic_copy<model::overlay_layers>;
using unprivileged_copy = basic_copy<model::unprivileged_overlay_layers>;

static_assert(backend<copy> && shows<copy> && probes<copy> && backend<unprivileged_copy>);

}  // namespace mortise::rootfs
