// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: backends that read packed images, for root.
#include "run.hpp"

#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/erofs.hpp>
#include <mortise/rootfs/first_supported.hpp>
#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

static constexpr composition all[] = {
    make_composition<rootfs::erofs, isolate::standard>("erofs"),
    make_composition<rootfs::first_supported<rootfs::erofs, rootfs::overlay, rootfs::copy>, isolate::standard>("auto"),
};
const std::span<const composition> packing = all;

}  // namespace mortise_run
