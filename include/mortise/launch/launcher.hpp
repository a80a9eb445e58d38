// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a launcher is: it turns a plan into a running process.

#include <concepts>
#include <mortise/launch/process.hpp>
#include <mortise/model/plan.hpp>

namespace mortise::launch {

/// The payload under which a failed spawn names the operation that failed ("execute", "mount proc").
inline constexpr std::string_view operation_payload = "mortise/operation";

/// `spawn(plan)` returns once the plan's last operation has succeeded, or with the failure of the first one
/// that did not; nothing of the child is left then. May be called from several threads at once.
template <class Launcher>
concept launcher = std::default_initializable<Launcher> && std::movable<Launcher> &&
                   requires(const Launcher& spawner, const model::plan& plan) {
                     { spawner.spawn(plan) } -> std::same_as<absl::StatusOr<process>>;
                   };

}  // namespace mortise::launch
