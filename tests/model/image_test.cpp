// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/image.hpp>

#include <doctest/doctest.h>

#include <string>

TEST_CASE("image: an image is known by its manifest's digest") {
  const auto id = mortise::model::digest::parse("sha256:" + std::string(64, '1'));
  REQUIRE(id.ok());
  const mortise::model::image image{"oci:somewhere", *id, {}, {{*id, "/layers/1"}}};
  const mortise::model::image copy = image;
  CHECK(copy.manifest == *id);
  CHECK(copy.layers.front().directory == "/layers/1");
}
