// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/zlib.hpp>

#include <doctest/doctest.h>

#include <archive/gzip_suite.hpp>

TEST_CASE("archive::zlib_reader reads gzip") { support::gzip_suite<mortise::archive::zlib_reader>(); }
