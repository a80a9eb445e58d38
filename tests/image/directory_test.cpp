// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/directory.hpp>

#include <doctest/doctest.h>

#include <mortise/model/layer.hpp>
#include <support/temporary.hpp>

namespace image = mortise::image;

static_assert(image::provides<image::directory, mortise::model::overlay_layers> &&
              image::provides<image::directory, mortise::model::unprivileged_overlay_layers>);

TEST_CASE("directory: is the one layer of an image without a configuration" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const auto store = image::directory::open("/nowhere");
  REQUIRE(store.ok());
  const auto provide = [&](std::string_view where) {
    return store->provide<mortise::model::overlay_layers>(where, {}, image::no_progress{});
  };
  const auto found = provide(place.path());
  REQUIRE(found.ok());
  REQUIRE(found->layers.size() == 1);
  CHECK(found->layers[0].directory == place.path());
  CHECK(!found->layers[0].diff_id);
  CHECK(found->config.entrypoint.empty());
  CHECK(mortise::message(provide("x").status()) == "use directory 'x' as an image: it must be an absolute path");
  CHECK(mortise::message(provide("/etc/passwd").status()) ==
        "use directory '/etc/passwd' as an image: it is not a directory");
  CHECK(provide("/nowhere").status().code() == absl::StatusCode::kNotFound);
  CHECK(!provide(std::string_view("/tmp\0x", 6)).ok());
}
