// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/erofs.hpp>

#include <doctest/doctest.h>

#include <conformance/merging_backend.hpp>
#include <conformance/packed_layers.hpp>
#include <conformance/rootfs_backend.hpp>
#include <rootfs/smallest_image.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

/// Through loop devices, as on kernels before 6.12.
using erofs_by_loop = rootfs::basic_erofs<rootfs::access::read_write, rootfs::erofs_way::loop>;

}  // namespace

TEST_CASE_TEMPLATE_INVOKE(conformance::rootfs_backend_suite, rootfs::erofs, erofs_by_loop, rootfs::read_only_erofs);
TEST_CASE_TEMPLATE_INVOKE(conformance::merging_backend_suite, rootfs::erofs, rootfs::read_only_erofs);
