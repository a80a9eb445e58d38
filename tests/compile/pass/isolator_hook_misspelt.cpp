// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct typo {
  static constexpr std::string_view name = "typo";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::release>;
  static absl::Status release(isolate::held_of<typo>&);
};
detail::composition<detail::isolators_of<typo>> all;
