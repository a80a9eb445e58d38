// SPDX-License-Identifier: Apache-2.0
// expect: the isolator named above needs the fact named above, which no isolator of this container gives; add the
// isolator that gives it expect: the_isolator<car>::needs_the_fact<wheels
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct car {
  static constexpr std::string_view name = "car";
  static constexpr unsigned version = 1;
  using needs = facts<wheels>;
  using gives = facts<>;
  using hooks = isolate::hook::list<>;
};
detail::composition<detail::isolators_of<car>> all;
