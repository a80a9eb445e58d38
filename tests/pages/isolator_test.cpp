// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/isolator.hpp>

#include <doctest/doctest.h>

#include <mortise/detail/compose.hpp>
#include <mortise/isolate/setting.hpp>
#include <pages/page.hpp>

// archetype
/// The least that a container takes for an isolator: it needs nothing, gives nothing and does nothing.
struct isolator_archetype {
  static constexpr std::string_view name = "archetype";
  static constexpr unsigned version = 1;
  using needs = mortise::facts<>;
  using gives = mortise::facts<>;
  using hooks = mortise::isolate::hook::list<>;
};

/// A fact is any type; its value is what its giver has to say.
struct given_number {
  int value;
};

/// All that an isolator may have: what it needs, wants and gives, settings, something held, and the three hooks.
struct full_isolator_archetype {
  static constexpr std::string_view name = "full-archetype";
  static constexpr unsigned version = 1;
  using needs = mortise::facts<>;
  using wants = mortise::facts<>;
  using gives = mortise::facts<given_number>;
  using hooks = mortise::isolate::hook::list<mortise::isolate::hook::prepare, mortise::isolate::hook::release,
                                             mortise::isolate::hook::recover>;
  static constexpr std::uint64_t clone_flags = 0;
  struct settings {
    int number = 1;
  };
  using held = int;

  static auto number(int value) {
    return mortise::isolate::change<full_isolator_archetype>([value](settings& all) { all.number = value; });
  }

  static absl::StatusOr<held> prepare(mortise::isolate::preparation<full_isolator_archetype>& with) {
    MORTISE_RETURN_IF_ERROR(with.checkpoint("what is about to be made"));
    with.give(given_number{with.settings().number});
    return with.settings().number;
  }
  static absl::Status release(held& /*mine*/) { return absl::OkStatus(); }
  static absl::Status recover(std::string_view /*record*/, unsigned /*written_by*/) { return absl::OkStatus(); }
};

static_assert(mortise::isolate::isolator<isolator_archetype> && mortise::isolate::isolator<full_isolator_archetype>);
// end of archetype

namespace {

struct kept_records final : mortise::isolate::recorder {
  std::string all;
  absl::Status record(std::string_view isolator, unsigned version, std::string text) override {
    mortise::append(all, isolator, ' ', version, ' ', text, '\n');
    return absl::OkStatus();
  }
};

}  // namespace

TEST_CASE("concepts: the page of isolator prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/isolator"));
}

TEST_CASE("concepts: the isolator archetypes make a composition") {
  using composition =
      mortise::detail::composition<mortise::detail::isolators_of<isolator_archetype, full_isolator_archetype>>;
  composition both;
  kept_records records;
  mortise::model::plan plan;
  CHECK(both.prepare(mortise::container_id::random(), {full_isolator_archetype::number(5)}, plan, records).ok());
  CHECK(both.held<full_isolator_archetype>() == 5);
  CHECK(records.all == "full-archetype 1 what is about to be made\n");
  CHECK(both.release().ok());
  CHECK(composition::recover("full-archetype", 1, "").first);
}
