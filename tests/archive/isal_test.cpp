// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/isal.hpp>

#include <doctest/doctest.h>

#include <archive/gzip_suite.hpp>

TEST_CASE("archive::isal_reader reads gzip") { support::gzip_suite<mortise::archive::isal_reader>(); }
