// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct car {
  static constexpr std::string_view name = "car";
  static constexpr unsigned version = 1;
  using needs = facts<wheels>;
  using gives = facts<>;
  using hooks = isolate::hook::list<>;
};
struct factory {
  static constexpr std::string_view name = "factory";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<wheels>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<factory>&);
};
detail::composition<detail::isolators_of<car, factory>> all;
