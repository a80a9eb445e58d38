// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a rootfs backend is: it turns layers into a root that the child mounts and enters.

#include <concepts>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/rootfs.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace mortise::rootfs {

/// Whether a container can write into its root.
enum class access : unsigned char { read_write, read_only };

/// What provision works with.
struct request {
  /// Bottom first, at least one, in the backend's layer format; shared with other containers: never written.
  const model::layers& layers;
  /// An empty directory of this container's own, absolute: all that the backend makes lies in it.
  const std::string& directory;
  /// The most that the container may write into its root; zero is no limit. A backend that cannot hold it refuses it.
  bytes writable = {};
  /// The container is in a user namespace that has these ids of the host's; only a backend that `maps_ids` is asked so.
  std::optional<model::id_range> ids = {};
};

/// - `name`: as users and records spell it. `layer_format`: the form in which it reads layers (model/layer.hpp).
/// - `provision(request, plan)`: prepares what must lie on disk, and adds to stage::host and stage::root the
///   operations that end with the child in the root (op::enter_root). A later layer's entry wins over an
///   earlier one's. On failure it may leave things in the directory: `destroy` follows.
/// - `destroy(directory)`: removes all that provision has made in the directory, of this process or of one
///   that died at any instruction of it, and the directory. False if there was nothing. May be repeated. No
///   process of the container is left when it is called.
template <class Backend>
concept backend =
    std::default_initializable<Backend> && std::movable<Backend> &&
    requires(const Backend& policy, const request& what, model::plan& plan, const std::string& directory) {
      typename Backend::layer_format;
      { Backend::name } -> std::convertible_to<std::string_view>;
      { policy.provision(what, plan) } -> std::same_as<absl::StatusOr<model::rootfs>>;
      { policy.destroy(directory) } -> std::same_as<absl::StatusOr<bool>>;
    };

/// Optional: `probe(directory)` tries whether this kernel, and the file system of an existing directory, can carry
/// such roots, and says why not. It leaves nothing behind.
template <class Backend>
concept probes = backend<Backend> && requires(const Backend& policy, const std::string& directory) {
  { policy.probe(directory) } -> std::same_as<absl::Status>;
};

/// Optional: `open(directory)` is called once, before all else, with the existing directory below which those of
/// containers will be made. A host does not open when it fails.
template <class Backend>
concept opens = backend<Backend> && requires(Backend& policy, const std::string& directory) {
  { policy.open(directory) } -> std::same_as<absl::Status>;
};

/// Optional: `show(request, plan)` adds to stage::root the operations that make the merged layers, read-only, and says
/// in which slot they are from then on, detached: a volume. Called before `provision`, which leaves the host's tree.
/// `destroy` of the same directory removes what lies there.
template <class Backend>
concept shows = backend<Backend> && requires(const Backend& policy, const request& what, model::plan& plan) {
  { policy.show(what, plan) } -> std::same_as<absl::StatusOr<model::slot>>;
};

/// Optional: `static constexpr bool limits_writes = true` says that request::writable is heeded.
template <class Backend>
concept limits_writes = backend<Backend> && Backend::limits_writes;

/// Optional: `static constexpr bool maps_ids = true` says that it shows layers as those of request::ids, and needs
/// them.
template <class Backend>
concept maps_ids = backend<Backend> && Backend::maps_ids;

/// Refuses a bound that a backend would not hold.
template <backend Backend>
absl::Status check_bound(bytes writable) {
  if (writable.count == 0 || limits_writes<Backend>) return absl::OkStatus();
  return error(absl::StatusCode::kInvalidArgument,
               concat("limit what may be written: backend '", Backend::name, "' cannot"));
}

/// Calls `use` with the std::type_identity of the form in which the backend reads layers. One that reads
/// model::one_of_layers has a member of this name, which says which one it has chosen.
template <backend Backend, class Use>
auto with_layer_format(const Backend& policy, Use use) {
  if constexpr (requires { policy.with_layer_format(use); }) {
    return policy.with_layer_format(use);
  } else {
    return use(std::type_identity<typename Backend::layer_format>{});
  }
}

}  // namespace mortise::rootfs
