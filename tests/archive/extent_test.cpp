// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/extent.hpp>

#include <doctest/doctest.h>

TEST_CASE("an extent that nobody filled is the end of its file") {
  constexpr mortise::archive::extent end;
  CHECK(end.bytes.empty());
  CHECK(end.offset == 0);
}
