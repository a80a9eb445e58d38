// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/metered_reader.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <digest/memory_reader.hpp>
#include <vector>

TEST_CASE("metered_reader: each piece is counted") {
  support::memory_reader source("0123456789", 4);
  std::vector<std::uint64_t> heard;
  mortise::image::metered_reader metered(source, [&](std::uint64_t total) {
    heard.push_back(total);
    return absl::OkStatus();
  });
  CHECK(support::read_whole(metered).value() == "0123456789");
  CHECK(heard == std::vector<std::uint64_t>{4, 8, 10, 10});
}

TEST_CASE("metered_reader: the listener may end it") {
  support::endless_reader source('x');
  mortise::image::metered_reader metered(
      source, [](std::uint64_t total) { return total < 1000 ? absl::OkStatus() : absl::CancelledError("enough"); });
  CHECK(absl::IsCancelled(support::read_whole(metered, 100).status()));
  CHECK(source.taken() == 1000);
}
