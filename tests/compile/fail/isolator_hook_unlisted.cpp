// SPDX-License-Identifier: Apache-2.0
// expect: the isolator named above has a member named as a hook that its 'hooks' does not list
// expect: the_isolator<quiet>::has_the_member<mortise::isolate::hook::prepare
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct quiet {
  static constexpr std::string_view name = "quiet";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<>;
  static absl::Status prepare(isolate::preparation<quiet>&);
};
detail::composition<detail::isolators_of<quiet>> all;
