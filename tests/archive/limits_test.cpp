// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/limits.hpp>

#include <doctest/doctest.h>

using namespace mortise::literals;

TEST_CASE("the default limits let honest images pass and bound what a hostile one costs") {
  constexpr mortise::archive::limits defaults;
  CHECK(defaults.entries >= 1'000'000);
  CHECK(defaults.path >= 1024);
  CHECK(defaults.component == 255);
  CHECK(defaults.zstd_window_log == 27);
  CHECK(defaults.header < 16_MiB);
  CHECK(defaults.free_space.count == 0);
}
