// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/manifest.hpp>

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

TEST_CASE("manifest: manifests and indexes are plain values") {
  using namespace mortise::model;
  static_assert(std::is_copy_constructible_v<manifest> && std::is_nothrow_move_constructible_v<mortise::model::index>);
  const auto type = media_type::parse("application/vnd.oci.image.manifest.v1+json");
  const auto id = digest::parse("sha256:" + std::string(64, '0'));
  REQUIRE(type.ok());
  REQUIRE(id.ok());
  const descriptor one{*type, *id, 7, {}, {}, {}, {}, {}};
  const manifest image{*type, one, {one, one}, {}, {}};
  const manifest copy = image;
  CHECK(copy.layers.size() == 2);
  CHECK(copy.layers.back().digest == *id);
}
