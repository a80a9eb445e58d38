// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/rootfs.hpp>

#include <doctest/doctest.h>

TEST_CASE("rootfs: is read-only unless something is writable") { CHECK(mortise::model::rootfs{}.writable.empty()); }
