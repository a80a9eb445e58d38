// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/docker/manifest.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <string>
#include <string_view>
#include <variant>

using mortise::image::docker::manifest_text;
using mortise::image::docker::parse_archive;
namespace media = mortise::image::media;

TEST_CASE("docker manifest: an archive's images are read") {
  const auto images =
      parse_archive(R"([{"Config":"a.json","RepoTags":["x:1","y:2"],"Layers":["1/layer.tar","2/layer.tar"]},
                                        {"Config":"b.json","RepoTags":null,"Layers":null,"Parent":"a"}])",
                    "it");
  REQUIRE(images.ok());
  CHECK(images->size() == 2);
  CHECK((*images)[0].tags == std::vector<std::string>{"x:1", "y:2"});
  CHECK((*images)[0].layers.back() == "2/layer.tar");
  CHECK((*images)[1].tags.empty());
}

TEST_CASE("docker manifest: what is wrong is named") {
  const auto said = [](std::string_view text) {
    return std::string(mortise::message(parse_archive(text, "it").status()));
  };
  CHECK(said("{}") == "parse it: it must be an array");
  CHECK(said("[{}]") == "parse it: at '[0]': 'Config' is missing");
  CHECK(said(R"([{"Config":"a","Layers":[7]}])") == "parse it: at '[0].Layers[0]': it must be a string");
}

TEST_CASE("docker manifest: the one that is made for an archive reads back") {
  const auto blob = [](std::string_view type, std::string_view content) {
    return mortise::model::descriptor{mortise::model::media_type::parse(type).value(),
                                      mortise::digest::of(content),
                                      content.size(),
                                      {},
                                      {},
                                      {},
                                      {},
                                      {}};
  };
  const std::string text =
      manifest_text(blob(media::docker_config, "c"), {blob(media::docker_layer, "1"), blob(media::docker_layer, "22")});
  const auto parsed = mortise::image::oci::parse_manifest(text, "it");
  REQUIRE(parsed.ok());
  const auto& manifest = std::get<mortise::model::manifest>(*parsed);
  CHECK(manifest.type == media::docker_manifest);
  CHECK(manifest.layers[1].size == 2);
  CHECK(manifest.layers[1].digest.text() == support::sha256("22"));
}
