// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images mounted from their layer tars, without a file being made: Documentation/filesystems/erofs.rst.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/adopt.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/erofs_images.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <mortise/rootfs/erofs_probe.hpp>
#include <mortise/rootfs/overlay_probe.hpp>
#include <mortise/rootfs/upper.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::rootfs {

/// Effects: the image is mounted once for the process, read-only, and each container gets a copy of that mount: the
/// cost depends neither on its size nor on its layers. A writable root is an overlay on it, volatile, of which what the
/// container writes lies in `upper`. Of a read-only one the directories that other mounts need (/proc, /dev, volumes)
/// must be in the image.
/// Fails with: PERMISSION_DENIED without CAP_SYS_ADMIN in the first user namespace; NOT_FOUND (ENODEV) where the kernel
/// has no EROFS; INVALID_ARGUMENT where it is older than 6.4.
/// Leaves behind: `root`, and if it is writable `upper` and `work`, in the container's directory, until
/// `destroy`; no mount that anybody else sees.
template <access Access, erofs_way Way = erofs_way::any>
struct basic_erofs {
  using layer_format = model::erofs_layers;
  static constexpr bool limits_writes = Access == access::read_write;
  static constexpr std::string_view name = Access == access::read_write ? "erofs" : "read-only-erofs";

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(make_directory(root));
    if constexpr (Access == access::read_only) {
      MORTISE_ASSIGN_OR_RETURN(const model::slot image, show(what, plan));
      plan.add(model::stage::root, model::op::enter_root{image, root});
      return model::rootfs{};
    } else {
      return add_overlay(what, root, plan);
    }
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto tree, of_image(what, [this](const auto& image) { return images_.mount(image); }));
    return adopt(std::make_shared<const sys::unique_fd>(std::move(tree)), plan);
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return destroy_upper(directory); }

  /// Mounts an empty image that lies there for a moment, and makes an overlay there where one is needed.
  absl::Status probe(const std::string& directory) const {
    absl::Status found = probe_erofs(directory, Way);
    if (limits_writes && found.ok()) found = probe_overlay<model::overlay_layers>(directory);
    return annotate(found, concat(name, " in '", directory, '\''));
  }

 private:
  /// What `take` gives of the image's directory.
  template <class Take>
  static auto of_image(const request& what, Take take) -> decltype(take(what.directory)) {
    if (what.layers.size() != 1) {
      return error(absl::StatusCode::kInvalidArgument,
                   concat("provision ", name, ": ", what.layers.size(), " layers, and a packed image is one"));
    }
    const std::string& directory = what.layers.front().directory;
    auto tree = take(directory);
    if (!tree.ok()) return annotate(tree.status(), concat("provision ", name, ": image '", directory, '\''));
    return tree;
  }

  absl::StatusOr<model::rootfs> add_overlay(const request& what, const std::string& root, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto tree, of_image(what, [this](const auto& image) { return images_.share(image); }));
    MORTISE_ASSIGN_OR_RETURN(const upper_directories on, make_upper<layer_format>(what, tree->get(), plan));
    const model::slot image = adopt(std::move(tree), plan);
    const model::slot merged = plan.new_slot();
    plan.add(model::stage::root, model::op::new_overlay{{}, on.upper, on.work, root, merged, false, true, image});
    plan.add(model::stage::root, model::op::enter_root{merged, root});
    return writable_root(on);
  }

  erofs_images images_{Way};
};

using erofs = basic_erofs<access::read_write>;
using read_only_erofs = basic_erofs<access::read_only>;

static_assert(backend<erofs> && shows<erofs> && probes<erofs> && backend<read_only_erofs>);

}  // namespace mortise::rootfs
