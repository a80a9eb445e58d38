// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The container types that mortise-run can choose between at run time. Each is compiled in a file of its own.

#include <mortise/base/status.hpp>
#include <mortise/state/recover.hpp>

#include "../tool/signals.hpp"
#include "options.hpp"

namespace mortise_run {

/// One container type, as two functions.
struct composition {
  /// Runs the container to its end and destroys it; returns the exit code.
  absl::StatusOr<int> (*run)(const options& what, tool::signal_relay& signals);
  /// Frees what earlier runs of this type left when they were killed.
  absl::StatusOr<mortise::state::recovery> (*recover)(const options& what);
};

extern const composition overlay;
extern const composition copy;
extern const composition rootless_overlay;
extern const composition rootless_copy;

}  // namespace mortise_run
