// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: backends that need no privileges, in a user namespace.
#include "run.hpp"

#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/first_supported.hpp>
#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

static constexpr composition all[] = {
    make_composition<rootfs::unprivileged_overlay, isolate::standard_unprivileged>("overlay"),
    make_composition<rootfs::unprivileged_copy, isolate::standard_unprivileged>("copy"),
    make_composition<rootfs::unprivileged_bind, isolate::standard_unprivileged>("bind"),
    make_composition<rootfs::first_supported<rootfs::unprivileged_overlay, rootfs::unprivileged_copy>,
                     isolate::standard_unprivileged>("auto"),
};
const std::span<const composition> rootless = all;

}  // namespace mortise_run
