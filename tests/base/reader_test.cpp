// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/reader.hpp>

#include <doctest/doctest.h>

#include <type_traits>

namespace {
struct empty_reader final : mortise::reader {
  absl::StatusOr<std::size_t> read(std::span<std::byte>) override { return std::size_t{0}; }
};
}  // namespace

TEST_CASE("reader: is held by reference and never copied") {
  static_assert(!std::is_copy_constructible_v<empty_reader> && std::has_virtual_destructor_v<mortise::reader>);
  empty_reader nothing;
  mortise::reader& read = nothing;
  CHECK(*read.read({}) == 0);
}

TEST_CASE("reader: drain reads to the end and says what the end says") {
  struct countdown final : mortise::reader {
    absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
      if (left == 0) return at_end;
      return left = left > into.size() ? left - into.size() : 0, std::size_t{1};
    }
    std::size_t left = 300'000;
    absl::StatusOr<std::size_t> at_end = std::size_t{0};
  };
  countdown sound;
  CHECK(mortise::drain(sound).ok());
  CHECK(sound.left == 0);
  countdown broken;
  broken.at_end = absl::DataLossError("cut off");
  CHECK(mortise::drain(broken).message() == "cut off");
}
