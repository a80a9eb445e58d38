// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;

struct fixed_store {
  template <class Format, class Hear>
    requires std::same_as<Format, model::overlay_layers>
  absl::StatusOr<model::image> provide(std::string_view, const image::provide_options&, Hear&&) {
    return model::image{};
  }
};
using box = container<fixed_store, rootfs::overlay, isolate::standard>;
box::settings with;
