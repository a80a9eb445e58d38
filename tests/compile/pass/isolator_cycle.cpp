// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct hen {
  static constexpr std::string_view name = "hen";
  static constexpr unsigned version = 1;
  using needs = facts<>;
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
detail::composition<detail::isolators_of<egg, hen>> all;
