// SPDX-License-Identifier: Apache-2.0
// How isolators are composed is tested in detail/compose_test.cpp.
#include <mortise/isolate/isolator.hpp>

#include <doctest/doctest.h>

namespace isolate = mortise::isolate;

namespace {

struct seats {
  int count;
};

struct smallest {
  static constexpr std::string_view name = "smallest";
  static constexpr unsigned version = 1;
  using needs = mortise::facts<>;
  using gives = mortise::facts<seats>;
  using hooks = isolate::hook::list<>;
};
struct richer : smallest {
  using needs = mortise::facts<seats>;
  using wants = mortise::facts<int>;
  using gives = mortise::facts<>;
  struct settings {
    int value = 5;
  };
  struct held {};
};

struct keeping : isolate::recorder {
  absl::Status record(std::string_view isolator, unsigned version, std::string text) override {
    last = mortise::concat(isolator, version, text);
    return absl::OkStatus();
  }
  std::string last;
};

static_assert(isolate::isolator<smallest> && isolate::isolator<richer> && !isolate::isolator<seats>);
static_assert(std::is_empty_v<isolate::settings_of<smallest>> &&
              std::is_same_v<isolate::settings_of<richer>, richer::settings>);
static_assert(std::is_same_v<isolate::held_of<richer>, richer::held>);
static_assert(std::is_same_v<isolate::wants_of<smallest>, mortise::facts<>>);

}  // namespace

TEST_CASE("isolator: a preparation shows what was declared" * doctest::test_suite("unprivileged")) {
  const auto id = *mortise::container_id::parse("x");
  mortise::model::plan plan;
  keeping records;
  std::optional<seats> given;
  const isolate::settings_of<smallest> nothing{};
  isolate::preparation<smallest> giving(id, nothing, plan, {}, {}, {&given}, records);
  giving.give(seats{4});
  CHECK(given->count == 4);
  CHECK(giving.checkpoint("text").ok());
  CHECK(records.last == "smallest1text");
  const richer::settings settings;
  isolate::preparation<richer> reading(id, settings, plan, {&*given}, {nullptr}, {}, records);
  CHECK(reading.fact<seats>().count == 4);
  CHECK(reading.find<int>() == nullptr);
  CHECK(reading.settings().value == 5);
  CHECK(&reading.plan() == &plan);
  CHECK(reading.id() == id);
}
