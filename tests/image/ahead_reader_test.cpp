// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/ahead_reader.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <digest/memory_reader.hpp>
#include <string>
#include <thread>

namespace {

struct endless final : mortise::reader {
  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    ++reads;
    return into.size();
  }
  std::atomic<unsigned> reads = 0;
};

std::string sample(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(at * 7 >> 3);
  return text;
}

}  // namespace

TEST_CASE("ahead_reader: gives the same bytes, and the end stays the end") {
  const std::string text = sample(3'000'001);
  for (const std::size_t step : {1000UL, 131072UL, 1000003UL}) {
    support::memory_reader from(text, 70'001);
    mortise::image::ahead_reader ahead(from);
    CHECK(*support::read_whole(ahead, step) == text);
    std::byte more[4];
    CHECK(*ahead.read(more) == 0);
  }
  support::memory_reader nothing("");
  mortise::image::ahead_reader ahead(nothing);
  CHECK(support::read_whole(ahead)->empty());
}

TEST_CASE("ahead_reader: a failure comes after all that came before it, and stays") {
  support::memory_reader from(sample(300'000), 1000, absl::DataLossError("cut off"));
  mortise::image::ahead_reader ahead(from);
  std::byte piece[3000];
  std::size_t total = 0;
  for (auto got = ahead.read(piece); got.ok(); got = ahead.read(piece)) total += *got;
  CHECK(total == 300'000);
  CHECK(mortise::drain(ahead).message() == "cut off");
  CHECK(ahead.read(piece).status().message() == "cut off");
}

TEST_CASE("ahead_reader: is bounded, and ends while it is ahead") {
  endless from;
  {
    mortise::image::ahead_reader ahead(from);
    std::byte one[1];
    REQUIRE(ahead.read(one).ok());
    for (unsigned last = 0; last != from.reads;) {
      last = from.reads;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK(from.reads == 8);
  }
  const unsigned reads = from.reads;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(from.reads == reads);
  const mortise::image::ahead_reader never_read(from);
}
