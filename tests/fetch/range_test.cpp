// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/range.hpp>

#include <doctest/doctest.h>

namespace fetch = mortise::fetch;
using fetch::content_range;

TEST_CASE("range: what Content-Range says") {
  const auto all = content_range::parse("bytes 5-9/20");
  REQUIRE(all);
  CHECK(all->first == 5);
  CHECK(all->end == 10);
  CHECK(all->total == 20);
  const auto open = content_range::parse("bytes 0-0/*");
  REQUIRE(open);
  CHECK(open->end == 1);
  CHECK(!open->total);
  const auto none = content_range::parse("bytes */20");
  REQUIRE(none);
  CHECK(none->first == none->end);
  CHECK(none->total == 20);
}

TEST_CASE("range: what makes no sense is nothing") {
  for (const char* const bad : {"",
                                "bytes",
                                "bytes ",
                                "bytes 5-9",
                                "bytes=5-9/20",
                                "items 5-9/20",
                                "bytes 9-5/20",
                                "bytes 5-20/20",
                                "bytes 5-9/",
                                "bytes 5-9/x",
                                "bytes */*",
                                "bytes -9/20",
                                "bytes 5-/20",
                                "bytes 5/20",
                                "bytes  5-9/20",
                                "bytes 5-9/20 ",
                                "bytes +5-9/20",
                                "bytes 5-9/-1",
                                "bytes 0-0/0",
                                "bytes 0-18446744073709551616/*",
                                "bytes 0-18446744073709551615/*",
                                "bytes 5-9/20/30"}) {
    CAPTURE(bad);
    CHECK(!content_range::parse(bad));
  }
}

TEST_CASE("range: how one is asked for") {
  CHECK(fetch::range_field(5, std::nullopt) == "bytes=5-");
  CHECK(fetch::range_field(0, 1) == "bytes=0-0");
  CHECK(fetch::range_field(5, 10) == "bytes=5-9");
}
