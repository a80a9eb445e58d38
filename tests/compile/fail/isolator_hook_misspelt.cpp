// SPDX-License-Identifier: Apache-2.0
// expect: the isolator named above lists the hook named above but has no member function of that name and signature; is
// it misspelt? expect: the_isolator<typo>::lists_the_hook<mortise::isolate::hook::release
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct typo {
  static constexpr std::string_view name = "typo";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::release>;
  static absl::Status relase(isolate::held_of<typo>&);
};
detail::composition<detail::isolators_of<typo>> all;
