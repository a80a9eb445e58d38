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
