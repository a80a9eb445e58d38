// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: for root, containers whose users are a range of the host's.
#include "run.hpp"

#include <mortise/rootfs/mapped_overlay.hpp>

namespace mortise_run {

const composition mapped = make_composition<mortise::rootfs::mapped_overlay, isolate::standard_mapped>();

}  // namespace mortise_run
