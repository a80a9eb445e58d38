// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/launcher.hpp>

#include <doctest/doctest.h>

namespace {

struct refusing {
  absl::StatusOr<mortise::launch::process> spawn(const mortise::model::plan&) const {
    return mortise::error(absl::StatusCode::kUnimplemented, "spawn process: not today");
  }
};
struct no_result {
  void spawn(const mortise::model::plan&) const {}
};
struct needs_more {
  absl::StatusOr<mortise::launch::process> spawn(mortise::model::plan&) const;
};

static_assert(mortise::launch::launcher<refusing>);
static_assert(!mortise::launch::launcher<no_result>);
static_assert(!mortise::launch::launcher<needs_more>);

}  // namespace

TEST_CASE("launcher: anything that spawns a plan is one" * doctest::test_suite("unprivileged")) {
  CHECK(refusing{}.spawn({}).status().code() == absl::StatusCode::kUnimplemented);
}
