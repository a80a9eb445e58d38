// SPDX-License-Identifier: Apache-2.0
#include <mortise/digest/hasher.hpp>

#include <doctest/doctest.h>

namespace {

/// The least that models the concept.
struct archetype {
  explicit archetype(mortise::model::digest_algorithm) {}
  void update(std::span<const std::byte>) {}
  mortise::model::digest finish() { return *mortise::model::digest::parse("sha256:" + std::string(64, '0')); }
};

struct keeps_nothing {
  void update(std::span<const std::byte>) {}
};

}  // namespace

TEST_CASE("the archetype of digest::hasher models it") {
  CHECK(mortise::digest::hasher<archetype>);
  CHECK_FALSE(mortise::digest::hasher<keeps_nothing>);
  CHECK_FALSE(mortise::digest::hasher<int>);
}
