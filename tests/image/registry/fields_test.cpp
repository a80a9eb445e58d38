// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/fields.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::fetch::header;
using mortise::image::distribution::field_named;
using mortise::image::distribution::fields_named;

TEST_CASE("fields: by name in any case, in order") {
  const std::vector<header> all = {{"Link", "a"}, {"X-Link", "b"}, {"LINK", "c"}, {"link", ""}};
  CHECK(fields_named("link", all) == std::vector<std::string>{"a", "c", ""});
  CHECK(fields_named("none", all).empty());
  CHECK(field_named("link", all) == "a");
  CHECK(field_named("x-link", all) == "b");
  CHECK(field_named("none", all).empty());
}
