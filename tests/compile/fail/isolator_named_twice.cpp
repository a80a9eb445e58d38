// SPDX-License-Identifier: Apache-2.0
// expect: the two isolators named above have one name, or one isolator is named twice
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct first {
  static constexpr std::string_view name = "first";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<>;
};
detail::composition<detail::isolators_of<isolate::pack<first>, first>> all;
