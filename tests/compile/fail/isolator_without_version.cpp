// SPDX-License-Identifier: Apache-2.0
// expect: the type named above is no isolator: it lacks one of name, version, needs, gives, hooks
// expect: bare
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct bare {
  static constexpr std::string_view name = "bare";
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<>;
};
detail::composition<detail::isolators_of<bare>> all;
