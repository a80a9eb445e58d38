// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Who hears what a container does: the library itself never logs.

#include <concepts>
#include <cstdint>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/image/store_concept.hpp>
#include <string_view>

namespace mortise {

/// The steps of a container's life, in order.
enum class step : std::uint8_t {
  fetch,      ///< the image is made ready: resolved, verified, unpacked
  provision,  ///< its layers become a root
  prepare,    ///< isolators add their parts to the plan
  spawn,      ///< the plan is run, the program started
  destroy,    ///< everything is given back
};

constexpr std::string_view name_of(step which) {
  constexpr std::string_view names[] = {"fetch", "provision", "prepare", "spawn", "destroy"};
  return names[static_cast<std::size_t>(which)];
}

/// - `begin(id, step)` before each step, `end(id, step, status)` after it, from the thread that launches or
///   destroys; several threads may do so at once.
/// - `progress(id, image::progress)` while an image is made ready, never by two threads at once for one launch.
template <class Observer>
concept observer = std::default_initializable<Observer> && std::movable<Observer> &&
                   requires(Observer& who, const container_id& id, step which, const absl::Status& status,
                            const image::progress& how) {
                     who.begin(id, which);
                     who.end(id, which, status);
                     who.progress(id, how);
                   };

/// Hears nothing and costs nothing.
struct no_observer {
  void begin(const container_id&, step) const {}
  void end(const container_id&, step, const absl::Status&) const {}
  void progress(const container_id&, const image::progress&) const {}
};

static_assert(observer<no_observer>);

}  // namespace mortise
