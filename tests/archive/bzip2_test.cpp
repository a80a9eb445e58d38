// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/bzip2.hpp>

#include <doctest/doctest.h>

#include <archive/pack_more.hpp>
#include <archive/stream_suite.hpp>

TEST_CASE("archive::bzip2_reader does what every decoder must") {
  support::stream_suite<mortise::archive::bzip2_reader>("bzip2", support::bzip2);
}

TEST_CASE("archive::bzip2_reader reads blocks of any size") {
  const std::string noise = support::sample_noise(2'000'000);
  for (const int level : {1, 5, 9})
    CHECK(*support::unpacked<mortise::archive::bzip2_reader>(support::bzip2(noise, level)) == noise);
}
