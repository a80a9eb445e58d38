// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/setting.hpp>

#include <doctest/doctest.h>

#include <type_traits>

TEST_CASE("setting: a change that knows whose it is" * doctest::test_suite("unprivileged")) {
  struct fan {};
  constexpr auto faster = mortise::isolate::change<fan>([](int& speed) { ++speed; });
  static_assert(std::is_same_v<decltype(faster)::isolator, fan>);
  int speed = 1;
  faster.change(speed);
  CHECK(speed == 2);
}
