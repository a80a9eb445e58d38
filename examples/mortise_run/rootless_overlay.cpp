// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: layers stacked by the kernel, in a user namespace.
#include "run.hpp"

#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

const composition rootless_overlay =
    make_composition<mortise::rootfs::unprivileged_overlay, isolate::standard_unprivileged>();

}  // namespace mortise_run
