// SPDX-License-Identifier: Apache-2.0
#include <mortise/observer.hpp>

#include <doctest/doctest.h>

#include <pages/page.hpp>

// archetype
/// All that an observer hears.
struct observer_archetype {
  void begin(const mortise::container_id& /*id*/, mortise::step /*which*/) {}
  void end(const mortise::container_id& /*id*/, mortise::step /*which*/, const absl::Status& /*how*/) {}
  void progress(const mortise::container_id& /*id*/, const mortise::image::progress& /*how*/) {}
};

static_assert(mortise::observer<observer_archetype>);
// end of archetype

TEST_CASE("concepts: the page of observer prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/observer"));
}

TEST_CASE("concepts: steps have names") {
  observer_archetype heard;
  heard.begin(mortise::container_id::random(), mortise::step::fetch);
  CHECK(name_of(mortise::step::fetch) == "fetch");
  CHECK(name_of(mortise::step::destroy) == "destroy");
}
