// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: layers copied, for root.
#include "run.hpp"

#include <mortise/rootfs/copy.hpp>

namespace mortise_run {

const composition copy = make_composition<mortise::rootfs::copy, isolate::standard>();

}  // namespace mortise_run
