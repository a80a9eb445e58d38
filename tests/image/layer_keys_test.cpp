// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/layer_keys.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <string>

TEST_CASE("layer_keys: a layer by its diff ID, and by the chain up to it") {
  const auto one = support::plain_layer("one");
  const auto two = support::gzip_layer("two");
  const std::string config = support::config_text({one, two});
  const std::string manifest =
      support::manifest_text(support::descriptor(mortise::image::media::oci_config, config),
                             {support::descriptor(one.type, one.blob), support::descriptor(two.type, two.blob)});
  auto parsed = mortise::image::oci::parse_manifest(manifest, "manifest", std::nullopt);
  REQUIRE(parsed.ok());
  const mortise::image::resolved_image image{
      {mortise::digest::of(manifest), manifest, std::get<mortise::model::manifest>(*parsed)},
      {mortise::digest::of(config), config, *mortise::image::oci::parse_config(config, "config")}};
  const auto keys = mortise::image::layer_keys(image);
  REQUIRE(keys.size() == 2);
  CHECK(keys[0].own.text() == support::sha256("one"));
  CHECK(keys[0].chain == keys[0].own);
  CHECK(keys[1].own.text() == support::sha256("two"));
  CHECK(keys[1].chain.text() == support::sha256(support::sha256("one") + " " + support::sha256("two")));
}
