// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers stacked by a kernel that has aufs: aufs(5).

#include <fcntl.h>

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/rootfs/aufs_probe.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/stackable_layers.hpp>
#include <mortise/rootfs/upper.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// Effects: an aufs of the layers, made in the child's mount namespace; what the container writes lies in `upper`. A
/// bound is held as make_upper says. Of more layers than aufs stacks by default the lowest are first copied into one.
/// Names of more than 242 bytes cannot be used in it.
/// Fails with: what copying fails with, for so many layers; the kernel's refusals come from the launch, or before from
/// `probe`: aufs takes neither another aufs nor an overlay as a branch, and says little (its words go to the kernel's
/// log).
/// Leaves behind: `root`, the mount point, and `upper`, `work`, `bounded` and `merged` where they are needed, in the
/// container's directory, until `destroy`; no mount outside the child's namespace.
template <access Access = access::read_write>
struct basic_aufs {
  using layer_format = model::aufs_layers;
  static constexpr bool is_writable = Access == access::read_write;
  static constexpr bool limits_writes = is_writable;
  static constexpr std::string_view name = is_writable ? "aufs" : "read-only-aufs";
  /// CONFIG_AUFS_BRANCH_MAX_127, less the writable one.
  static constexpr std::size_t most_layers = 126;

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    const std::string root = what.directory + "/root";
    if constexpr (!is_writable) {
      MORTISE_ASSIGN_OR_RETURN(const model::slot shown, show(what, plan));
      plan.add(model::stage::root, model::op::enter_root{shown, root});
      return model::rootfs{};
    } else {
      MORTISE_ASSIGN_OR_RETURN(auto lower, lower_directories(what));
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd top, sys::open(lower.front(), O_RDONLY | O_DIRECTORY));
      MORTISE_ASSIGN_OR_RETURN(const upper_directories on, make_upper<layer_format>(what, top.get(), plan));
      const model::slot merged = add(std::move(lower), on.upper, root, plan);
      plan.add(model::stage::root, model::op::enter_root{merged, root});
      return writable_root(on);
    }
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto lower, lower_directories(what));
    return add(std::move(lower), {}, what.directory + "/root", plan);
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return destroy_upper(directory); }

  /// Makes an aufs in the directory for a moment.
  absl::Status probe(const std::string& directory) const {
    return annotate(probe_aufs(directory), concat(name, " in '", directory, '\''));
  }

 private:
  /// Makes the mount point too, as the first thing.
  static absl::StatusOr<std::vector<std::string>> lower_directories(const request& what) {
    MORTISE_RETURN_IF_ERROR(make_directory(what.directory + "/root"));
    auto lower = stackable_layers<layer_format>(what, most_layers);
    if (!lower.ok()) return annotate(lower.status(), "provision aufs");
    return lower;
  }

  static model::slot add(std::vector<std::string> lower, std::string upper, std::string root, model::plan& plan) {
    const model::slot merged = plan.new_slot();
    plan.add(model::stage::root, model::op::new_aufs{std::move(lower), std::move(upper), std::move(root), merged});
    return merged;
  }
};

using aufs = basic_aufs<>;
using read_only_aufs = basic_aufs<access::read_only>;

static_assert(backend<aufs> && shows<aufs> && probes<aufs> && backend<read_only_aufs>);

}  // namespace mortise::rootfs
