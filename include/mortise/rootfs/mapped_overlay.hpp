// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers stacked for a container whose users are others of the host's: mount_setattr(2), "ID-mapped mounts".

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/rootfs/adopt.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/project_bound.hpp>
#include <mortise/rootfs/stackable_layers.hpp>
#include <mortise/rootfs/upper.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount_context.hpp>
#include <mortise/sys/user_namespace.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::rootfs {

namespace detail {

/// One overlay of layers that show the ids of `ids`, made by the caller and seen by nobody.
class mapped_stack {
 public:
  static absl::StatusOr<mapped_stack> open(const std::vector<std::string>& lower, model::id_range ids) {
    mapped_stack out;
    MORTISE_RETURN_IF_ERROR(model::check_id_range(ids));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd users, sys::make_user_namespace(model::id_map_text(ids)));
    for (const std::string& each : lower) {
      MORTISE_ASSIGN_OR_RETURN(sys::unique_fd layer, sys::clone_mapped(each, users.get()));
      out.layers_.push_back(std::move(layer));
    }
    return out;
  }

  /// Its root has the attributes of the merged root.
  [[nodiscard]] int top() const { return layers_.front().get(); }

  /// Writable if there is an upper directory; descriptors of -1 are none.
  [[nodiscard]] absl::StatusOr<sys::unique_fd> mount(int upper, int work) const {
    MORTISE_ASSIGN_OR_RETURN(auto context, sys::mount_context::open("overlay", remedy));
    for (const sys::unique_fd& each : layers_) MORTISE_RETURN_IF_ERROR(context.set("lowerdir+", each.get()));
    if (upper < 0) return context.mount(model::mount_flag::read_only);
    MORTISE_RETURN_IF_ERROR(context.set("upperdir", upper));
    MORTISE_RETURN_IF_ERROR(context.set("workdir", work));
    MORTISE_RETURN_IF_ERROR(context.set("volatile"));
    return context.mount(0);
  }

 private:
  static std::string_view remedy(int problem) {
    if (problem == ENODEV) return "the kernel has no overlayfs: CONFIG_OVERLAY_FS";
    const bool older = problem == EINVAL || problem == EBADF || problem == EOPNOTSUPP;
    return older ? "layers that are detached mounts need Linux 6.15" : "";
  }

  std::vector<sys::unique_fd> layers_;
};

}  // namespace detail

/// Effects: an overlay whose layers show their files as those of request::ids, so that nothing is copied or changed for
/// a container in a user namespace of its own. Made by the caller, seen by nobody, and taken over by the child. What
/// the container writes lies in `upper`, and belongs to those ids.
/// Fails with: FAILED_PRECONDITION without request::ids; PERMISSION_DENIED without CAP_SYS_ADMIN and CAP_SETUID; the
/// kernel's refusals, in its words, where it is older than Linux 6.15 or the file system of the layers cannot map ids.
/// Leaves behind: `root`, `upper`, `work`, `bounded`, `merged` and `empty` where they are needed, in the container's
/// directory, until `destroy`; no mount.
struct mapped_overlay {
  using layer_format = model::overlay_layers;
  static constexpr std::string_view name = "mapped-overlay";
  static constexpr bool limits_writes = true;
  static constexpr bool maps_ids = true;

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(const auto layers, open_layers(what));
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(make_directory(root));
    std::string place = what.directory;
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd memory, bound(what, place));
    MORTISE_ASSIGN_OR_RETURN(const auto on, detail::make_upper_in<layer_format>(place, layers.top()));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd upper, sys::open(on.upper, O_RDONLY | O_DIRECTORY));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd work, sys::open(on.work, O_RDONLY | O_DIRECTORY));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd tree, layers.mount(upper.get(), work.get()));
    const model::slot merged = adopt(std::make_shared<const sys::unique_fd>(std::move(tree)), plan);
    plan.add(model::stage::root, model::op::enter_root{merged, root});
    return model::rootfs{{on.upper, on.work}, static_cast<bool>(memory)};
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(const auto layers, open_layers(what, least_read_only_layers));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd tree, layers.mount(-1, -1));
    return adopt(std::make_shared<const sys::unique_fd>(std::move(tree)), plan);
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return destroy_upper(directory); }

  /// Makes one in the directory for a moment.
  absl::Status probe(const std::string& directory) const {
    return annotate(in_new_directory(directory, try_one), concat(name, " in '", directory, '\''));
  }

 private:
  static absl::StatusOr<detail::mapped_stack> open_layers(const request& what, std::size_t least = 1) {
    if (!what.ids)
      return error(absl::StatusCode::kFailedPrecondition,
                   concat("provision ", name, ": it maps ids: give the container isolate::mapped_user_namespace"));
    const auto lower = stackable_layers<layer_format>(what, most_overlay_layers, least);
    auto out = lower.ok() ? detail::mapped_stack::open(*lower, *what.ids) : lower.status();
    if (!out.ok()) return annotate(out.status(), concat("provision ", name));
    return out;
  }

  /// Where the upper and the work directory go: into `place`, which a bound changes. One that no project can hold is a
  /// tmpfs, whose mount is then the result.
  static absl::StatusOr<sys::unique_fd> bound(const request& what, std::string& place) {
    if (what.writable.count == 0) return sys::unique_fd();
    const std::string bounded = what.directory + "/bounded";
    MORTISE_RETURN_IF_ERROR(make_directory(bounded));
    if (bound_by_project(bounded, what.writable).ok()) {
      place = bounded;
      return sys::unique_fd();
    }
    MORTISE_ASSIGN_OR_RETURN(auto context, sys::mount_context::open("tmpfs"));
    MORTISE_RETURN_IF_ERROR(context.set("mode", "700"));
    MORTISE_RETURN_IF_ERROR(context.set("size", std::to_string(what.writable.count)));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd memory, context.mount(0));
    place = concat("/proc/self/fd/", memory.get());
    return memory;
  }

  static absl::Status try_one(const std::string& place) {
    for (const char* const each : {"/lower", "/upper", "/work"}) MORTISE_RETURN_IF_ERROR(make_directory(place + each));
    MORTISE_ASSIGN_OR_RETURN(const auto layers, detail::mapped_stack::open({place + "/lower"}, {100'000, 65'536}));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd upper, sys::open(place + "/upper", O_RDONLY | O_DIRECTORY));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd work, sys::open(place + "/work", O_RDONLY | O_DIRECTORY));
    return layers.mount(upper.get(), work.get()).status();
  }
};

static_assert(backend<mapped_overlay> && shows<mapped_overlay> && probes<mapped_overlay>);

}  // namespace mortise::rootfs
