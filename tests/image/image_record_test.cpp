// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/image_record.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::image::image_record;

TEST_CASE("image_record: what is written reads back, whatever the location holds") {
  const auto type = mortise::model::media_type::parse("application/vnd.oci.image.manifest.v1+json");
  for (const char* const location : {"oci:/a b/c:latest", "oci:/line\nbreak", "oci:/\xff"}) {
    const image_record record{location, "linux/amd64", {*type, mortise::digest::of("m"), 1, {}, {}, {}, {}, {}}, ""};
    const auto back = image_record::parse(record.text());
    REQUIRE(back.has_value());
    CHECK(back->location == location);
    CHECK(back->platform == "linux/amd64");
    CHECK(back->manifest.digest == mortise::digest::of("m"));
    CHECK(back->manifest.size == 1);
    CHECK(back->fingerprint.empty());
    CHECK(back->name() == record.name());
  }
}

TEST_CASE("image_record: one name for each location and platform") {
  CHECK(image_record::name_of("a", "b") != image_record::name_of("b", "a"));
  CHECK(image_record::name_of("a", "b").starts_with("images/"));
}

TEST_CASE("image_record: a torn record is none") {
  CHECK_FALSE(image_record::parse("").has_value());
  CHECK_FALSE(image_record::parse("image 1\nplatform x\ntype a/b\ndigest sha256:x\nsize 1\nfingerprint -\nlocation x\n")
                  .has_value());
}
