// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/cpu.hpp>

#include <doctest/doctest.h>

#include <isolate/cgroup_scene.hpp>
#include <limits>

using mortise::message;
using mortise::isolate::cpu;
using mortise::sys::cgroup_control;
using std::chrono::microseconds;

namespace {

using files = std::vector<cgroup_control>;

cpu::settings settings_from(const auto&... changes) {
  cpu::settings all;
  (changes.change(all), ...);
  return all;
}

}  // namespace

TEST_CASE("cpu: the files of both versions") {
  CHECK(cpu::controls(settings_from(cpu::cpus(1.5)), 1) == files{{"cpu.cfs_quota_us", "150000"}});
  CHECK(cpu::controls(settings_from(cpu::cpus(1.5)), 2) == files{{"cpu.max", "150000 100000"}});
  CHECK(cpu::controls(settings_from(cpu::cpus(0.01)), 2) == files{{"cpu.max", "1000 100000"}});
  CHECK(cpu::controls(settings_from(cpu::cpus(0.3)), 2) == files{{"cpu.max", "30000 100000"}});
  CHECK(cpu::controls(settings_from(cpu::weight(100)), 1) == files{{"cpu.shares", "1024"}});
  CHECK(cpu::controls(settings_from(cpu::weight(250)), 2) == files{{"cpu.weight", "250"}});
}

TEST_CASE("cpu: weights and shares keep their proportions") {
  static_assert(cpu::shares_of(100) == 1024 && cpu::weight_of(1024) == 100);
  static_assert(cpu::shares_of(200) == 2048 && cpu::weight_of(2048) == 200);
  static_assert(cpu::shares_of(1) == 10 && cpu::shares_of(10'000) == 102'400);
  static_assert(cpu::weight_of(2) == 1 && cpu::weight_of(262'144) == 10'000 && cpu::weight_of(~0U) == 10'000);
  for (unsigned weight = 1; weight < 10'000; ++weight) CHECK(cpu::shares_of(weight) < cpu::shares_of(weight + 1));
}

TEST_CASE("cpu: numbers out of range are refused") {
  for (const double count :
       {0.0, -1.0, 0.009, 8193.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(cpu::check(settings_from(cpu::cpus(count))).code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(message(cpu::check(settings_from(cpu::cpus(0)))) == "limit processors to 0.000000: it takes 0.01 to 8192");
  CHECK(message(cpu::check(settings_from(cpu::weight(0)))) ==
        "set processor weight 0: it takes 1 to 10000, where 100 is everybody's");
  CHECK(!cpu::check(settings_from(cpu::weight(10'001))).ok());
  CHECK(cpu::check(settings_from(cpu::cpus(0.01), cpu::weight(1))).ok());
}

TEST_CASE("cpu: the text of cpu.stat in both versions") {
  const auto v1 = cpu::parse("nr_periods 7\nnr_throttled 3\nthrottled_time 2500000\nnr_bursts 0\n", 1);
  CHECK(v1.periods == 7);
  CHECK(v1.throttled_periods == 3);
  CHECK(v1.throttled == microseconds(2500));
  CHECK(!v1.time);
  const auto v2 = cpu::parse("usage_usec 12\nuser_usec 1\nnr_periods 7\nnr_throttled 3\nthrottled_usec 2500\n", 2);
  CHECK(v2.throttled == microseconds(2500));
  CHECK(v2.time == microseconds(12));
  CHECK(cpu::parse("", 2).periods == 0);
}

TEST_CASE("cpu: a busy container is held back to its quota, and the waits are counted") {
  if (cgroup_scene::find_writable("cpu") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<cpu>(cpu::cpus(0.1), cpu::weight(50));
  REQUIRE_MESSAGE(held.ok(), held.status().ToString());
  auto busy = scene.spawn({"sh", "-c", "while :; do :; done"});
  REQUIRE_MESSAGE(busy.ok(), busy.status().ToString());
  const auto throttled = [&held] {
    const auto usage = cpu::read(*held);
    return usage.ok() && usage->throttled_periods >= 3 && usage->throttled > microseconds(0);
  };
  CHECK(cgroup_scene::eventually(throttled));
  CHECK(busy->kill(SIGKILL).ok());
  CHECK(busy->wait().ok());
  const auto usage = cpu::read(*held);
  REQUIRE(usage.ok());
  CHECK(usage->periods >= usage->throttled_periods);
  if (usage->time) CHECK(*usage->time > microseconds(0));
}

TEST_CASE("cpu: time is counted without any setting where there is a version 2 tree") {
  if (cgroup_scene::find_writable("unified") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<cpu>();
  REQUIRE(held.ok());
  CHECK(!held->directory);
  auto process = scene.spawn({"sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"});
  REQUIRE(process.ok());
  CHECK(process->wait()->success());
  const auto usage = cpu::read(*held);
  REQUIRE_MESSAGE(usage.ok(), usage.status().ToString());
  REQUIRE(usage->time);
  CHECK(*usage->time > microseconds(0));
  CHECK(usage->periods == 0);
}

TEST_CASE("cpu: with neither a setting nor a version 2 tree there is nothing to read, and no failure") {
  const auto usage = cpu::read({});
  REQUIRE(usage.ok());
  CHECK(!usage->time);
}
