// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/id_range.hpp>

#include <doctest/doctest.h>

using namespace mortise;
using model::id_range;

TEST_CASE("id_range: is a line of a map, and within what ids there are" * doctest::test_suite("unprivileged")) {
  CHECK(model::id_map_text({100'000, 65'536}) == "0 100000 65536\n");
  CHECK(model::check_id_range({0, 1}).ok());
  CHECK(model::check_id_range({0xfffffffe, 1}).ok());
  CHECK(model::check_id_range({0, 0xffffffff}).ok());
  CHECK(message(model::check_id_range({1, 0})) == "map ids: there must be one at least");
  CHECK(message(model::check_id_range({0xfffffffe, 2})) == "map ids: 2 from 4294967294 on are more than there are");
}
