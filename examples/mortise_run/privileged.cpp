// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: for root, each backend that leaves the image's owners as they are.
#include "run.hpp"

#include <mortise/rootfs/aufs.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/erofs.hpp>
#include <mortise/rootfs/first_supported.hpp>
#include <mortise/rootfs/overlay.hpp>

namespace mortise_run {

namespace rootfs = mortise::rootfs;

using backends = rootfs::first_supported<rootfs::erofs, rootfs::overlay, rootfs::aufs, rootfs::copy, rootfs::bind>;
const composition privileged = make_composition<backends, isolate::standard>();

}  // namespace mortise_run
