// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/descriptor.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::model::media_type;

TEST_CASE("descriptor: media types are of RFC 6838's form") {
  const auto good = media_type::parse("application/vnd.oci.image.layer.v1.tar+gzip");
  REQUIRE(good.ok());
  CHECK(*good == "application/vnd.oci.image.layer.v1.tar+gzip");
  for (const std::string& bad :
       {std::string(), std::string("text"), std::string("/x"), std::string("a/"), std::string("a/b/c"),
        std::string("a/b; charset=utf-8"), std::string("a/ b"), std::string("../x"), "a/" + std::string(128, 'b')}) {
    CAPTURE(bad);
    CHECK_FALSE(media_type::parse(bad).ok());
  }
}

TEST_CASE("descriptor: annotations are found by name, the first of two") {
  const mortise::model::annotations some{{"a", "1"}, {"b", "2"}, {"a", "3"}};
  CHECK(mortise::model::find(some, "a") == "1");
  CHECK_FALSE(mortise::model::find(some, "c").has_value());
}
