// SPDX-License-Identifier: Apache-2.0
// expect: the facts of the isolators named above form a cycle: each needs what a later one gives
// expect: the_isolators<false, hen, egg>
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct hen {
  static constexpr std::string_view name = "hen";
  static constexpr unsigned version = 1;
  using needs = facts<wheels>;
  using gives = facts<seats>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<hen>&);
};
struct egg {
  static constexpr std::string_view name = "egg";
  static constexpr unsigned version = 1;
  using needs = facts<seats>;
  using gives = facts<wheels>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<egg>&);
};
detail::composition<detail::isolators_of<hen, egg>> all;
