// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: backends that read layers in forms of their own, for root.
#include "run.hpp"

#include <mortise/rootfs/erofs.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

static constexpr composition all[] = {
    make_composition<rootfs::erofs, isolate::standard>("erofs"),
};
const std::span<const composition> packing = all;

}  // namespace mortise_run
