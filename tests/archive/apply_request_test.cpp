// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/apply_request.hpp>

#include <doctest/doctest.h>

TEST_CASE("a request needs no more than a staging directory") {
  const mortise::archive::apply_request request{.staging = 3};
  CHECK_FALSE(request.lower);
  CHECK_FALSE(request.progress);
  CHECK(request.cancelled == nullptr);
  CHECK(request.deadline > std::chrono::steady_clock::now() + std::chrono::hours(1000));
}
