// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/isolator.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <mortise/detail/compose.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/plan_text.hpp>
#include <pages/page.hpp>

namespace mortise::isolate {

// archetype
struct nice_level {
  static constexpr std::string_view name = "nice-level";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;
  struct settings {
    std::uint64_t ceiling = 20;
  };

  /// The container may raise its priority to this ceiling: RLIMIT_NICE of getrlimit(2).
  static constexpr auto ceiling(std::uint64_t value) {
    return change<nice_level>([value](settings& all) { all.ceiling = value; });
  }

  static absl::Status prepare(preparation<nice_level>& with) {
    const std::uint64_t ceiling = with.settings().ceiling;
    if (ceiling < 1 || ceiling > 40)
      return error(absl::StatusCode::kInvalidArgument, concat("set nice ceiling ", ceiling, ": it takes 1 to 40"));
    with.plan().add(model::stage::limits, model::op::set_limit{RLIMIT_NICE, ceiling, ceiling});
    return absl::OkStatus();
  }
};
// end of archetype

}  // namespace mortise::isolate

namespace {

using mortise::isolate::nice_level;

struct no_records final : mortise::isolate::recorder {
  absl::Status record(std::string_view, unsigned, std::string) override { return absl::OkStatus(); }
};

absl::Status prepare(std::uint64_t ceiling, mortise::model::plan& plan) {
  no_records records;
  return mortise::detail::composition<mortise::detail::isolators_of<nice_level>>().prepare(
      mortise::container_id::random(), {nice_level::ceiling(ceiling)}, plan, records);
}

}  // namespace

TEST_CASE("concepts: the page of adding an isolator prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "adding-an-isolator"));
}

TEST_CASE("concepts: the isolator of that page works") {
  mortise::model::plan plan;
  CHECK(prepare(30, plan).ok());
  CHECK(mortise::model::to_text(plan) == "clone flags 0x0\nlimits\n  set resource limit 13 to 30:30\n");
  CHECK(prepare(41, plan).message() == "nice-level: set nice ceiling 41: it takes 1 to 40");
}
