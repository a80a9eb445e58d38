// SPDX-License-Identifier: Apache-2.0
// expect: an isolator reads only the facts that its 'needs' lists
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct nosy {
  static constexpr std::string_view name = "nosy";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<nosy>& with) {
    (void)with.fact<wheels>();
    return absl::OkStatus();
  }
};
detail::composition<detail::isolators_of<nosy>> all;
