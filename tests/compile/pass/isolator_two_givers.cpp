// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct first {
  static constexpr std::string_view name = "first";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<wheels>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<first>&);
};
struct second {
  static constexpr std::string_view name = "second";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<seats>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<second>&);
};
detail::composition<detail::isolators_of<first, second>> all;
