// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/layer_check.hpp>

#include <doctest/doctest.h>

#include <image/store_fixture.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/resolve.hpp>
#include <string>

using namespace mortise;
using support::gzip_layer;
using support::store_fixture;
using support::tar_builder;

TEST_CASE("layer_check: names the layers that are there, and compares each with its blob") {
  store_fixture here;
  here.layout.write_image({gzip_layer(tar_builder().directory("./").file("low", "low").text()),
                           gzip_layer(tar_builder().directory("./").file("high", "high").text())});
  REQUIRE(here.provide() == "");
  const auto store = image::store_directory::open(here.directory);
  REQUIRE(store.ok());
  const auto from = image::oci_layout().open(here.location, here.directory + "/staging");
  REQUIRE(from.ok());
  const auto what = image::resolve(**from, model::host_platform());
  REQUIRE(what.ok());
  const image::provide_options options;
  image::layer_check<model::overlay_layers> check(*store, **from, *what, options);
  CHECK(*check.name_of(0) == concat("layers/overlay/", what->config.parsed.diff_ids[0].hex()));
  CHECK(*check.check(0));
  CHECK(*check.check(1));
  support::write_file(here.image->layers[1].directory + "/high", "changed");
  CHECK(*check.check(0));
  CHECK(!*check.check(1));
  CHECK(here.tidy());

  image::layer_check<model::erofs_layers> packed(*store, **from, *what, options);
  CHECK(!packed.name_of(0));
  CHECK(!packed.image_name());
  CHECK(absl::IsNotFound(packed.check(0).status()));
  CHECK(absl::IsNotFound(packed.check_image().status()));
}
