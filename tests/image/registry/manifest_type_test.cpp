// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/manifest_type.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using absl::StatusCode;
using mortise::message;
using mortise::image::distribution::is_manifest_type;
using mortise::image::distribution::manifest_digest;
using mortise::image::distribution::manifest_type;
using mortise::model::digest_algorithm;
using mortise::model::media_type;
namespace media = mortise::image::media;

namespace {
std::string of(std::string_view text, std::string_view field) {
  const auto out = manifest_type(text, field, "m");
  return out.ok() ? out->text() : std::string(message(out.status()));
}
}  // namespace

TEST_CASE("manifest type: the server's word, if it is one and the document does not say otherwise") {
  CHECK(of("{}", media::oci_index) == media::oci_index);
  CHECK(of("{}", "Application/vnd.oci.image.index.v1+JSON; charset=utf-8") == media::oci_index);
  CHECK(of(R"({"mediaType":"application/vnd.oci.image.index.v1+json"})", media::oci_index) == media::oci_index);
  CHECK(of(R"({"mediaType":"application/vnd.oci.image.manifest.v1+json"})", media::oci_index) ==
        "read m: it calls itself application/vnd.oci.image.manifest.v1+json and was sent as "
        "application/vnd.oci.image.index.v1+json");
}

TEST_CASE("manifest type: where the server says nothing of use, the document decides") {
  for (const char* const field : {"", "application/json", "text/plain", "no type at all", "application/octet-stream"}) {
    CHECK(of(R"({"mediaType":"application/vnd.oci.image.index.v1+json"})", field) == media::oci_index);
    CHECK(of(R"({"manifests":[]})", field) == media::oci_index);
    CHECK(of(R"({"config":{},"layers":[]})", field) == media::oci_manifest);
    CHECK(of(R"({"schemaVersion":1,"fsLayers":[]})", field) == media::schema_1);
    CHECK(of(R"({"schemaVersion":1,"fsLayers":[],"signatures":[]})", field) == media::signed_schema_1);
    CHECK(of("{}", field).starts_with("read m: it is no manifest"));
  }
  CHECK(manifest_type("<html>", "text/html", "m").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("manifest type: which types are manifests") {
  for (const std::string_view each : {media::oci_index, media::docker_manifest, media::schema_1})
    CHECK(is_manifest_type(media_type::parse(each).value()));
  for (const std::string_view each : {media::oci_config, media::oci_layer, std::string_view("application/json")})
    CHECK_FALSE(is_manifest_type(media_type::parse(each).value()));
}

TEST_CASE("manifest type: digests are of all bytes, in the algorithm asked for") {
  const auto type = media_type::parse(media::oci_index).value();
  CHECK(manifest_digest("{}", type, digest_algorithm::sha256, "m")->text() ==
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  CHECK(manifest_digest("{}", type, digest_algorithm::sha512, "m")->algorithm() == digest_algorithm::sha512);
  const auto old = media_type::parse(media::signed_schema_1).value();
  CHECK_FALSE(manifest_digest(R"({"signatures":[]})", old, digest_algorithm::sha256, "m").ok());
}
