// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/memory.hpp>

#include <doctest/doctest.h>

#include <isolate/cgroup_scene.hpp>

using mortise::message;
using mortise::isolate::memory;
using mortise::sys::cgroup_control;
using namespace mortise::literals;

namespace {

memory::settings settings_from(const auto&... changes) {
  memory::settings all;
  (changes.change(all), ...);
  return all;
}

}  // namespace

TEST_CASE("memory: the files of version 1, memory before memory and swap") {
  using files = std::vector<cgroup_control>;
  CHECK(memory::controls(settings_from(memory::limit(64_MiB)), 1) ==
        files{{"memory.limit_in_bytes", "67108864"}, {"memory.memsw.limit_in_bytes", "67108864", true}});
  CHECK(memory::controls(settings_from(memory::swap(96_MiB), memory::limit(64_MiB)), 1) ==
        files{{"memory.limit_in_bytes", "67108864"}, {"memory.memsw.limit_in_bytes", "100663296"}});
  CHECK(memory::controls(settings_from(memory::reservation(1_MiB)), 1) ==
        files{{"memory.soft_limit_in_bytes", "1048576"}});
}

TEST_CASE("memory: the files of version 2, which counts swap alone") {
  using files = std::vector<cgroup_control>;
  CHECK(memory::controls(settings_from(memory::limit(64_MiB)), 2) ==
        files{{"memory.max", "67108864"}, {"memory.swap.max", "0", true}});
  CHECK(memory::controls(settings_from(memory::swap(96_MiB), memory::limit(64_MiB), memory::reservation(1_MiB)), 2) ==
        files{{"memory.max", "67108864"}, {"memory.swap.max", "33554432"}, {"memory.low", "1048576"}});
}

TEST_CASE("memory: sizes that make no sense are refused before anything is made") {
  const auto refusal = [](const auto&... changes) {
    const absl::Status status = memory::check(settings_from(changes...));
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return std::string(message(status));
  };
  CHECK(refusal(memory::limit(4_KiB)) == "limit memory to 4096 B: the least is 1048576 B");
  CHECK(refusal(memory::limit({1ULL << 63})) ==
        "limit memory to 9223372036854775808 B: it is more than any machine has");
  CHECK(refusal(memory::swap(64_MiB)) ==
        "limit memory to 67108864 B: a limit of memory and swap needs one of memory too: add memory::limit");
  CHECK(refusal(memory::limit(64_MiB), memory::swap(32_MiB)) ==
        "limit memory to 33554432 B: memory and swap together cannot be less than the 67108864 B of memory");
  CHECK(refusal(memory::limit(64_MiB), memory::reservation(65_MiB)) ==
        "limit memory to 68157440 B: a reservation cannot be more than the limit of 67108864 B");
  CHECK(memory::check(settings_from(memory::limit(memory::least_limit), memory::swap(memory::least_limit))).ok());
}

TEST_CASE("memory: without a setting nothing is made, and nothing can be read") {
  if (cgroup_scene::find_writable("memory") == nullptr) return;
  cgroup_scene::scene scene;
  const auto before = cgroup_scene::existing(scene.path());
  const auto held = scene.prepare<memory>();
  REQUIRE(held.ok());
  CHECK(!held->directory);
  CHECK(cgroup_scene::existing(scene.path()) == before);
  CHECK(memory::read(*held).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("memory: a container that wants more is killed, and the kill is counted") {
  if (cgroup_scene::find_writable("memory") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<memory>(memory::limit(16_MiB));
  REQUIRE_MESSAGE(held.ok(), held.status().ToString());
  auto hog = scene.spawn({"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"});
  REQUIRE_MESSAGE(hog.ok(), hog.status().ToString());
  CHECK(hog->wait()->signal() == SIGKILL);
  const auto usage = memory::read(*held);
  REQUIRE_MESSAGE(usage.ok(), usage.status().ToString());
  CHECK(usage->out_of_memory_kills == 1);
  CHECK(usage->current < 16_MiB);
  if (usage->peak) {
    CHECK(*usage->peak > 12_MiB);
    CHECK(*usage->peak <= 16_MiB);
  }
}

TEST_CASE("memory: a container within its limit runs, also at the least limit, and uses some") {
  if (cgroup_scene::find_writable("memory") == nullptr) return;
  for (const mortise::bytes limit : {memory::least_limit, 64_MiB}) {
    cgroup_scene::scene scene;
    const auto held = scene.prepare<memory>(memory::limit(limit), memory::reservation(1_MiB));
    REQUIRE_MESSAGE(held.ok(), held.status().ToString());
    auto process = scene.spawn({"true"});
    REQUIRE_MESSAGE(process.ok(), process.status().ToString());
    CHECK(process->wait()->success());
    const auto usage = memory::read(*held);
    REQUIRE(usage.ok());
    CHECK(usage->out_of_memory_kills == 0);
    if (usage->peak) CHECK(*usage->peak > 0_B);
  }
}

TEST_CASE("memory: what was asked for is in the control files") {
  if (cgroup_scene::find_writable("memory") == nullptr) return;
  cgroup_scene::scene scene;
  const auto held = scene.prepare<memory>(memory::limit(64_MiB), memory::swap(96_MiB), memory::reservation(32_MiB));
  if (!held.ok() && mortise::errno_of(held.status()) == ENOENT) {
    CHECK(message(held.status()).find("swapaccount=1") != std::string::npos);
    return support::skip("needs a kernel that accounts swap");
  }
  REQUIRE_MESSAGE(held.ok(), held.status().ToString());
  for (const auto& each :
       memory::controls(settings_from(memory::limit(64_MiB), memory::swap(96_MiB), memory::reservation(32_MiB)),
                        held->directory->version)) {
    const auto value = mortise::sys::read_number(*held->directory, each.file);
    REQUIRE_MESSAGE(value.ok(), value.status().ToString());
    CHECK(std::to_string(*value) == each.text);
  }
}
