// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The container types that mortise-run can choose between at run time.

#include <mortise/base/status.hpp>
#include <mortise/state/paths.hpp>
#include <mortise/state/recover.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "../tool/signals.hpp"
#include "options.hpp"

namespace mortise_run {

/// The state is mortise-run's own: it ends containers whose mortise-run is dead, and other programs may let theirs go
/// on.
inline std::string state_directory() { return mortise::concat(mortise::state::default_state_directory(), "-run"); }

/// One container type, as functions.
struct composition {
  /// The backends that it has, as --backend spells them; "auto" is the first of them that works.
  std::vector<std::string_view> (*backends)();
  /// Runs the container to its end and destroys it; returns the exit code.
  absl::StatusOr<int> (*run)(const options& what, tool::signal_relay& signals);
  /// Frees what earlier runs of this type left when they were killed.
  absl::StatusOr<mortise::state::recovery> (*recover)(const options& what);
};

extern const composition privileged;
extern const composition mapped;  ///< with --map-ids
extern const composition rootless;

}  // namespace mortise_run
