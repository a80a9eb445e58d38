// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/pids.hpp>

#include <doctest/doctest.h>

#include <isolate/cgroup_scene.hpp>

using mortise::message;
using mortise::isolate::pids;

TEST_CASE("pids: the file, and numbers out of range") {
  CHECK(pids::controls({.limit = 100}) == std::vector<mortise::sys::cgroup_control>{{"pids.max", "100"}});
  CHECK(message(pids::check({.limit = 0})) == "limit processes to 0: it takes 1 to 4194304");
  CHECK(pids::check({.limit = 4'194'305}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(pids::check({.limit = 1}).ok());
  CHECK(pids::check({.limit = pids::most}).ok());
}

TEST_CASE("pids: without a limit nothing is made, and nothing can be read") {
  if (cgroup_scene::find_writable("pids") == nullptr) return;
  cgroup_scene::scene scene;
  const auto before = cgroup_scene::existing(scene.path());
  const auto held = scene.prepare<pids>();
  REQUIRE(held.ok());
  CHECK(cgroup_scene::existing(scene.path()) == before);
  CHECK(pids::read(*held).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("pids: one process may run alone, and cannot fork") {
  if (cgroup_scene::find_writable("pids") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<pids>(pids::limit(1));
  REQUIRE_MESSAGE(held.ok(), held.status().ToString());
  auto process = scene.spawn(cgroup_scene::quiet_shell("(exit 0) & wait; exit 0"));
  REQUIRE_MESSAGE(process.ok(), process.status().ToString());
  CHECK(!process->wait()->success());
  const auto usage = pids::read(*held);
  REQUIRE_MESSAGE(usage.ok(), usage.status().ToString());
  CHECK(usage->refused >= 1);
  CHECK(usage->current == 0);
}

TEST_CASE("pids: a container that forks without end stops at the limit, and is killed and removed whole") {
  if (cgroup_scene::find_writable("pids") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<pids>(pids::limit(50));
  REQUIRE_MESSAGE(held.ok(), held.status().ToString());
  // Each shell starts others for as long as it lives, and dies where it cannot: others take its place.
  const std::string bomb = "bomb() { while :; do bomb & bomb & done; }; bomb";
  auto first = scene.spawn(cgroup_scene::quiet_shell(bomb));
  REQUIRE_MESSAGE(first.ok(), first.status().ToString());
  CHECK(cgroup_scene::eventually([&] {
    const auto usage = pids::read(*held);
    return usage.ok() && usage->refused > 20;
  }));
  const auto usage = pids::read(*held);
  REQUIRE(usage.ok());
  CHECK(usage->current <= 50);
  if (usage->peak) CHECK(*usage->peak == 50);
  const absl::Status released = scene.cgroups->release();
  CHECK_MESSAGE(released.ok(), released.ToString());
  CHECK(first->wait().ok());
  CHECK(cgroup_scene::existing(scene.path()).empty());
}
