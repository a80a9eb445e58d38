// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/plan.hpp>

#include <doctest/doctest.h>

namespace model = mortise::model;

TEST_CASE("plan: operations keep their order within a stage; slots are never given twice") {
  model::plan plan;
  plan.add(model::stage::limits, model::op::set_limit{1, 2, 3});
  plan.add(model::stage::limits, model::op::set_limit{4, 5, 6});
  plan.add(model::stage::record, model::op::record_self{7});
  REQUIRE(plan.at(model::stage::limits).size() == 2);
  CHECK(std::get<model::op::set_limit>(plan.at(model::stage::limits)[0]).resource == 1);
  CHECK(std::get<model::op::set_limit>(plan.at(model::stage::limits)[1]).resource == 4);
  CHECK(plan.at(model::stage::execute).empty());
  CHECK(plan.slot_count() == 1);
  const model::slot first = plan.new_slot();
  CHECK(first != model::slot::root);
  CHECK(plan.new_slot() != first);
  CHECK(plan.slot_count() == 3);
  CHECK(plan.cgroup.empty());
}
