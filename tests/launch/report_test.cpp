// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/report.hpp>

#include <doctest/doctest.h>

#include <type_traits>

TEST_CASE("report: plain data, which says nothing at first" * doctest::test_suite("unprivileged")) {
  static_assert(std::is_trivially_copyable_v<mortise::launch::report>);
  const mortise::launch::report fresh;
  CHECK(fresh.error == 0);
  CHECK(!fresh.executing);
  CHECK(fresh.detail[0] == 0);
}
