// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: backends that need no privileges, in a user namespace.
#include "run.hpp"

#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/first_supported.hpp>
#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

using backends =
    rootfs::first_supported<rootfs::unprivileged_overlay, rootfs::unprivileged_copy, rootfs::unprivileged_bind>;
const composition rootless = make_composition<backends, isolate::standard_unprivileged>();

}  // namespace mortise_run
