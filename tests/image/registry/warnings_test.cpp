// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/warnings.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using mortise::fetch::header;
using mortise::image::distribution::warnings;

TEST_CASE("warnings: each text once, for each server") {
  std::vector<std::string> heard;
  warnings said([&heard](std::string_view text) { heard.emplace_back(text); });
  const std::vector<header> fields = {
      {"Warning", "299 - \"old\""}, {"X", "299 - \"no\""}, {"warning", "299 - \"new\""}};
  said.hear("a", fields);
  said.hear("a", fields);
  said.hear("b", fields);
  CHECK(heard == std::vector<std::string>{"a: old", "a: new", "b: old", "b: new"});
}

TEST_CASE("warnings: a flood of them is cut off") {
  std::vector<std::string> heard;
  warnings said([&heard](std::string_view text) { heard.emplace_back(text); });
  for (int each = 0; each < 1000; ++each) said.say(std::to_string(each));
  CHECK(heard.size() == 256);
}

TEST_CASE("warnings: nobody needs to listen") {
  warnings said;
  said.say("text");
  said.hear("a", std::vector<header>{{"Warning", "299 - \"x\""}});
}
