// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/media_types.hpp>

#include <doctest/doctest.h>

#include <string_view>

using mortise::image::role;

namespace {
role of(std::string_view text) {
  const auto type = mortise::model::media_type::parse(text);
  REQUIRE(type.ok());
  return mortise::image::role_of(*type);
}
}  // namespace

TEST_CASE("media_types: OCI's and Docker's names mean the same few things") {
  CHECK(of("application/vnd.oci.image.manifest.v1+json") == role::manifest);
  CHECK(of("application/vnd.docker.distribution.manifest.v2+json") == role::manifest);
  CHECK(of("application/vnd.oci.image.index.v1+json") == role::index);
  CHECK(of("application/vnd.docker.distribution.manifest.list.v2+json") == role::index);
  CHECK(of("application/vnd.oci.image.config.v1+json") == role::config);
  CHECK(of("application/vnd.docker.container.image.v1+json") == role::config);
  CHECK(of("application/vnd.docker.distribution.manifest.v1+prettyjws") == role::schema_1);
}

TEST_CASE("media_types: layers come plain, gzip and zstd, in each family's spelling") {
  for (const std::string_view base : {mortise::image::media::oci_layer, mortise::image::media::docker_layer}) {
    const char joint = base == mortise::image::media::oci_layer ? '+' : '.';
    CHECK(of(base) == role::layer);
    CHECK(of(mortise::concat(base, joint, "gzip")) == role::layer);
    CHECK(of(mortise::concat(base, joint, "zstd")) == role::layer);
    CHECK(of(mortise::concat(base, joint, "xz")) == role::unknown);
    CHECK(of(mortise::concat(base, "gzip")) == role::unknown);
  }
  CHECK(of("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip") == role::foreign_layer);
  CHECK(of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") == role::foreign_layer);
  CHECK(of("application/vnd.in-toto+json") == role::unknown);
}

TEST_CASE("media_types: an Appc image may be a layer, in one spelling") {
  CHECK(of("application/vnd.appc.aci") == role::appc_layer);
  CHECK(of("application/vnd.appc.aci+gzip") == role::unknown);
}
