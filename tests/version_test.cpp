// SPDX-License-Identifier: Apache-2.0
#include <mortise/version.hpp>
// The header under test stands first.
#include <doctest/doctest.h>

#include <mortise/base/text.hpp>

TEST_CASE("version: the text is made of the numbers") {
  CHECK(mortise::version ==
        mortise::concat(mortise::version_major, '.', mortise::version_minor, '.', mortise::version_patch));
}
