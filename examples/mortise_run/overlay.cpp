// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: layers stacked by the kernel, for root.
#include "run.hpp"

#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

const composition overlay = make_composition<mortise::rootfs::overlay, isolate::standard>();

}  // namespace mortise_run
