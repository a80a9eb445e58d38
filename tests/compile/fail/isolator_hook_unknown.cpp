// SPDX-License-Identifier: Apache-2.0
// expect: the isolator named above lists a hook that does not exist: hooks are prepare, release and recover of
// mortise::isolate::hook expect: the_isolator<odd>::lists_something_unknown<attach
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct attach;
struct odd {
  static constexpr std::string_view name = "odd";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<attach>;
};
detail::composition<detail::isolators_of<odd>> all;
