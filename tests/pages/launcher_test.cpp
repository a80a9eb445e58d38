// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/launcher.hpp>

#include <doctest/doctest.h>

#include <pages/page.hpp>

// archetype
/// The least that a container takes for a launcher: it refuses every plan.
struct launcher_archetype {
  absl::StatusOr<mortise::launch::process> spawn(const mortise::model::plan& /*plan*/) const {
    return mortise::error(absl::StatusCode::kUnimplemented, "spawn process: this launcher has none to offer");
  }
};

static_assert(mortise::launch::launcher<launcher_archetype>);
// end of archetype

TEST_CASE("concepts: the page of launcher prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/launcher"));
}

TEST_CASE("concepts: the launcher archetype refuses") {
  CHECK(launcher_archetype().spawn({}).status().code() == absl::StatusCode::kUnimplemented);
}
