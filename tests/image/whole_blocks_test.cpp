// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/whole_blocks.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>
#include <string>

namespace {
std::string padded(const std::string& text, std::size_t in, std::size_t out) {
  support::memory_reader source(text, in);
  mortise::image::whole_blocks whole(source);
  return support::read_whole(whole, out).value();
}
}  // namespace

TEST_CASE("whole_blocks: zeros up to a whole block, and never more") {
  CHECK(padded("", 10, 10).empty());
  CHECK(padded("abc", 2, 100) == "abc" + std::string(509, '\0'));
  CHECK(padded(std::string(512, 'x'), 100, 7) == std::string(512, 'x'));
  CHECK(padded(std::string(513, 'x'), 512, 512) == std::string(513, 'x') + std::string(511, '\0'));
}

TEST_CASE("whole_blocks: a failure of the source is passed on") {
  support::memory_reader source("abc", 3, absl::DataLossError("altered"));
  mortise::image::whole_blocks whole(source);
  CHECK(absl::IsDataLoss(support::read_whole(whole).status()));
}
