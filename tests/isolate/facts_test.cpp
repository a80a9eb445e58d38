// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/facts.hpp>

#include <doctest/doctest.h>

#include <type_traits>

TEST_CASE("facts: are plain values" * doctest::test_suite("unprivileged")) {
  static_assert(std::is_aggregate_v<mortise::fact::user_map> && std::is_empty_v<mortise::fact::private_pids>);
  const mortise::fact::user_map map{1, 2};
  CHECK(map.host_uid == 1);
  CHECK(map.host_gid == 2);
}
