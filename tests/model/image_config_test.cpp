// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/image_config.hpp>

#include <doctest/doctest.h>

TEST_CASE("image_config: a configuration that says nothing asks for nothing") {
  const mortise::model::image_config nothing;
  CHECK(nothing.entrypoint.empty());
  CHECK(nothing.user.empty());
  CHECK(nothing.diff_ids.empty());
  CHECK(nothing.platform == mortise::model::platform{});
  CHECK_FALSE(mortise::model::history_entry{}.empty_layer);
}
