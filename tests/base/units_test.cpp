// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/units.hpp>

#include <doctest/doctest.h>

using namespace mortise::literals;

TEST_CASE("units: literals and what people write") {
  static_assert(1_GiB == 1024_MiB && 1_MiB == 1024_KiB && 1_KiB == 1024_B);
  CHECK(mortise::parse_bytes("512") == 512_B);
  CHECK(mortise::parse_bytes("512b") == 512_B);
  for (const char* const text : {"64m", "64M", "64MB", "64mb", "64MiB", "65536k"})
    CHECK(mortise::parse_bytes(text) == 64_MiB);
  CHECK(mortise::parse_bytes("2g") == 2_GiB);
  CHECK(mortise::parse_bytes("9223372036854775807")->count == 9223372036854775807U);
  for (const char* const bad :
       {"", "m", "-1", "1.5g", "1 m", "1x", "1mm", "1bb", "9223372036854775808", "8388608t", "99999999999999999999"})
    CHECK(!mortise::parse_bytes(bad));
}

TEST_CASE("units: for people") {
  CHECK(mortise::to_text(0_B) == "0 B");
  CHECK(mortise::to_text({999}) == "999 B");
  CHECK(mortise::to_text({63'149'000}) == "63.1 MB");
  CHECK(mortise::to_text({~std::uint64_t{0}}) == "18.4 EB");
}
