// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/stage.hpp>

#include <doctest/doctest.h>

#include <set>

TEST_CASE("stage: each has a name of its own, and execute is last") {
  std::set<std::string_view> names;
  for (std::size_t each = 0; each < mortise::model::stage_count; ++each)
    names.insert(mortise::model::name_of(static_cast<mortise::model::stage>(each)));
  CHECK(names.size() == mortise::model::stage_count);
  CHECK(!names.contains(""));
  CHECK(mortise::model::name_of(mortise::model::stage::execute) == "execute");
  static_assert(mortise::model::stage::root < mortise::model::stage::volumes);
  static_assert(mortise::model::stage::volumes < mortise::model::stage::masks);
  static_assert(mortise::model::stage::user < mortise::model::stage::privileges);
}
