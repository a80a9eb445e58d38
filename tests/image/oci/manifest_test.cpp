// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/oci/manifest.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <string>
#include <string_view>
#include <vector>

using mortise::message;
using mortise::image::oci::check_layout_version;
using mortise::image::oci::parse_manifest;
namespace media = mortise::image::media;

namespace {

mortise::model::media_type type(std::string_view text) { return mortise::model::media_type::parse(text).value(); }

bool says(std::string_view text, std::string_view part,
          const std::optional<mortise::model::media_type>& declared = {}) {
  const auto result = parse_manifest(text, "it", declared);
  const std::string said(message(result.status()));
  CAPTURE(said);
  return !result.ok() && said.find(part) != std::string::npos;
}

const std::string config = support::descriptor(media::oci_config, "{}");
const std::string layer = support::descriptor(media::oci_layer, "tar");

}  // namespace

TEST_CASE("manifest: an OCI manifest is read whole") {
  const auto parsed =
      parse_manifest(support::manifest_text(config, {layer, layer}, R"(,"annotations":{"a":"b"},"other":[1])"), "it",
                     type(media::oci_manifest));
  REQUIRE(parsed.ok());
  const auto& manifest = std::get<mortise::model::manifest>(*parsed);
  CHECK(manifest.layers.size() == 2);
  CHECK(manifest.config.type == media::oci_config);
  CHECK(mortise::model::find(manifest.annotations, "a") == "b");
}

TEST_CASE("manifest: what states no type is what it was declared as, or what its members say") {
  const std::string untyped = mortise::concat(R"({"schemaVersion":2,"config":)", config, R"(,"layers":[]})");
  CHECK(std::get<mortise::model::manifest>(*parse_manifest(untyped, "it")).type == media::oci_manifest);
  CHECK(std::get<mortise::model::manifest>(*parse_manifest(untyped, "it", type(media::docker_manifest))).type ==
        media::docker_manifest);
  CHECK(std::get<mortise::model::index>(*parse_manifest(support::index_text({}), "it")).type == media::oci_index);
}

TEST_CASE("manifest: a document that can be read two ways is refused") {
  CHECK(
      says(mortise::concat(R"({"schemaVersion":2,"manifests":[],"config":)", config, R"(,"layers":[]})"), "ambiguous"));
  CHECK(says(R"({"schemaVersion":2,"manifests":[],"layers":[]})", "ambiguous"));
  CHECK(says(R"({"schemaVersion":2,"manifests":[],"fsLayers":[]})", "ambiguous"));
  CHECK(says(support::manifest_text(config, {}), "where application/vnd.oci.image.index.v1+json was expected",
             type(media::oci_index)));
  CHECK(says(support::index_text({}), "'config' is missing", type(media::oci_manifest)));
  CHECK(says(support::manifest_text(config, {}, R"(,"schemaVersion":2)"), "occurs twice"));
}

TEST_CASE("manifest: versions and kinds that are not supported are named") {
  CHECK(says(R"({"schemaVersion":1,"fsLayers":[]})", "version 1 is not supported"));
  CHECK(says(R"({"schemaVersion":"2","layers":[]})", "at 'schemaVersion'"));
  CHECK(says(R"({"layers":[]})", "'schemaVersion' is missing"));
  CHECK(says(R"({"schemaVersion":2})", "neither 'manifests' nor"));
  CHECK(says("{}", "Docker schema 1 is not supported", type(media::schema_1)));
  CHECK(says(R"({"schemaVersion":2,"mediaType":"text/plain","layers":[]})", "text/plain is neither"));
}

TEST_CASE("manifest: a wrong descriptor is found where it is") {
  CHECK(says(support::manifest_text(config, {layer, R"({"mediaType":"a/b","digest":"sha256:x","size":1})"}),
             "at 'layers[1].digest'"));
  CHECK(says(support::manifest_text("[]", {}), "at 'config'"));
}

TEST_CASE("manifest: what one document may list is bounded") {
  const std::vector<std::string> many(mortise::image::oci::most_descriptors + 1, layer);
  CHECK(says(support::index_text(many), "it lists more than 10000"));
}

TEST_CASE("manifest: a layout of another version is refused") {
  CHECK(check_layout_version(R"({"imageLayoutVersion":"1.0.0","more":1})", "it").ok());
  CHECK(message(check_layout_version(R"({"imageLayoutVersion":"2.0.0"})", "it")).find("'2.0.0' is not supported") !=
        std::string_view::npos);
  CHECK_FALSE(check_layout_version("{}", "it").ok());
  CHECK_FALSE(check_layout_version("1.0.0", "it").ok());
}
