// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/layer.hpp>

#include <doctest/doctest.h>

TEST_CASE("layer: the two forms differ in name, attribute and owners") {
  using mortise::model::overlay_layers;
  using mortise::model::unprivileged_overlay_layers;
  static_assert(overlay_layers::name != unprivileged_overlay_layers::name);
  static_assert(overlay_layers::keeps_owners && !unprivileged_overlay_layers::keeps_owners);
  CHECK(std::string_view(overlay_layers::opaque_xattr) == "trusted.overlay.opaque");
  CHECK(std::string_view(unprivileged_overlay_layers::opaque_xattr) == "user.overlay.opaque");
}
