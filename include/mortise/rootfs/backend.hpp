// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a rootfs backend is: it turns unpacked layers into a root that the child mounts and enters.

#include <concepts>
#include <mortise/base/status.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/rootfs.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

/// What provision works with.
struct request {
  /// Bottom first, at least one, in the backend's layer format; shared with other containers: never written.
  const model::layers& layers;
  /// An empty directory of this container's own, absolute: all that the backend makes lies in it.
  const std::string& directory;
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

}  // namespace mortise::rootfs
