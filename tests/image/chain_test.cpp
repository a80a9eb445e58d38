// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/chain.hpp>

#include <doctest/doctest.h>

#include <vector>

TEST_CASE("chain: each layer's chain ID is of the one below and its diff ID") {
  using mortise::digest::of;
  const std::vector<mortise::model::digest> diff_ids{of("a"), of("b"), of("a")};
  const auto chains = mortise::image::chain_ids(diff_ids);
  REQUIRE(chains.size() == 3);
  CHECK(chains[0] == diff_ids[0]);
  CHECK(chains[1] == of(of("a").text() + " " + of("b").text()));
  CHECK(chains[2] == of(chains[1].text() + " " + of("a").text()));
  CHECK(mortise::image::chain_ids({}).empty());
}
