// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: layers copied, in a user namespace.
#include "run.hpp"

#include <mortise/rootfs/copy.hpp>

namespace mortise_run {

const composition rootless_copy =
    make_composition<mortise::rootfs::unprivileged_copy, isolate::standard_unprivileged>();

}  // namespace mortise_run
