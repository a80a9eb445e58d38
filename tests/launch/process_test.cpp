// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/process.hpp>

#include <doctest/doctest.h>

#include <launch/plans.hpp>
#include <support/leaks.hpp>

TEST_CASE("process: ends once, is reaped once, and stays asked for" * doctest::test_suite("unprivileged")) {
  const support::leak_snapshot before;
  {
    auto started = mortise::launch::clone{}.spawn(plans::run({"/bin/sleep", "1000"}));
    REQUIRE(started.ok());
    mortise::launch::process moved = *std::move(started);
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    CHECK(moved.wait(soon).status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(moved.kill(0).ok());
    CHECK(moved.end(std::chrono::steady_clock::now() + std::chrono::seconds(30)).ok());
    CHECK(moved.wait()->signal() == SIGKILL);
    CHECK(moved.end({}).ok());
    CHECK(moved.kill(SIGTERM).ok());
  }
  CHECK(before.leaked() == "");
}
