// SPDX-License-Identifier: Apache-2.0
// Mounts by named descriptors are tested in child_overlay_test.cpp and child_aufs_test.cpp.
#include <mortise/launch/child_named.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::launch::option_page;

TEST_CASE("child_named: a page takes what fits and stays what it was where more does not") {
  option_page page;
  CHECK(page.text() == std::string());
  CHECK(page.add("lowerdir="));
  CHECK(page.add(12L));
  CHECK(page.text() == std::string("lowerdir=12"));
  CHECK_FALSE(page.add(std::string(4096 - 11, 'x')));
  CHECK(page.text() == std::string("lowerdir=12"));
  CHECK(page.add(std::string(4096 - 12, 'x')));
  CHECK(std::string(page.text()).size() == 4095);
  CHECK_FALSE(page.add(0L));
}
