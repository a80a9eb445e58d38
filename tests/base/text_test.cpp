// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/text.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

TEST_CASE("text: pieces of several types") {
  CHECK(mortise::concat("a", 'b', std::string("c"), std::string_view("d"), 1, -2, 3U,
                        std::numeric_limits<std::uint64_t>::max()) == "abcd1-2318446744073709551615");
  CHECK(mortise::concat() == "");
}

TEST_CASE("text: numbers are read in full or not at all") {
  CHECK(mortise::parse_number<int>("-12") == -12);
  CHECK(mortise::parse_number<unsigned>("755", 8) == 0755U);
  CHECK(mortise::parse_number<std::uint8_t>("255") == 255);
  for (const char* const bad : {"", " 1", "1 ", "+1", "1x", "0x1", "256"})
    CHECK(!mortise::parse_number<std::uint8_t>(bad));
  CHECK(!mortise::parse_number<unsigned>("-1"));
}

TEST_CASE("text: split keeps empty parts, join puts them together") {
  using parts = std::vector<std::string_view>;
  CHECK(mortise::split("", ',').empty());
  CHECK(mortise::split("a", ',') == parts{"a"});
  CHECK(mortise::split("a,,b,", ',') == parts{"a", "", "b", ""});
  CHECK(mortise::split(",", ',') == parts{"", ""});
  CHECK(mortise::join(parts{"a", "", "b"}, ", ") == "a, , b");
  CHECK(mortise::join(parts{}, ",") == "");
}

TEST_CASE("text: what is printable stays, the rest is spelt") {
  CHECK(mortise::printable("plain ~") == "plain ~");
  CHECK(mortise::printable(std::string_view("\0\n\x1b\x7f\xff\\", 6)) == "\\x00\\x0a\\x1b\\x7f\\xff\\x5c");
  CHECK(mortise::printable("abcdef", 3) == "abc...");
}

TEST_CASE("text: what could mean something in a URL is percent-encoded") {
  CHECK(mortise::percent_encoded("aZ09-._~") == "aZ09-._~");
  CHECK(mortise::percent_encoded("../?#&=%\n\xff") == "..%2F%3F%23%26%3D%25%0A%FF");
}
