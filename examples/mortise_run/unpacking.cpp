// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: backends that read unpacked layers, for root.
#include "run.hpp"

#include <mortise/rootfs/aufs.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

static constexpr composition all[] = {
    make_composition<rootfs::overlay, isolate::standard>("overlay"),
    make_composition<rootfs::copy, isolate::standard>("copy"),
    make_composition<rootfs::bind, isolate::standard>("bind"),
    make_composition<rootfs::aufs, isolate::standard>("aufs"),
};
const std::span<const composition> unpacking = all;

}  // namespace mortise_run
