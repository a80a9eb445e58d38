// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct quiet {
  static constexpr std::string_view name = "quiet";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<quiet>&);
};
detail::composition<detail::isolators_of<quiet>> all;
