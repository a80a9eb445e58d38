// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/facts.hpp>

using namespace mortise;
struct seats {};
struct wheels {};
struct nosy {
  static constexpr std::string_view name = "nosy";
  static constexpr unsigned version = 1;
  using needs = facts<wheels>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<nosy>& with) {
    (void)with.fact<wheels>();
    return absl::OkStatus();
  }
};
struct giver {
  static constexpr std::string_view name = "giver";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<wheels>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;
  static absl::Status prepare(isolate::preparation<giver>&);
};
detail::composition<detail::isolators_of<nosy, giver>> all;
