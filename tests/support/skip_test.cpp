// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <support/skip.hpp>

TEST_CASE("skip: keeps the first reason") {
  support::skip("first");
  support::skip("second");
  CHECK(support::skip_reason() == "first");
  support::skip_reason().clear();
}

TEST_CASE("skip: finds programs, and says which is missing") {
  CHECK(support::find_program("sh").ends_with("/sh"));
  CHECK_FALSE(support::missing_program("sh"));
  CHECK(support::missing_program("no-such-program"));
  CHECK(support::skip_reason() == "needs the program 'no-such-program': tests/run installs it");
  support::skip_reason().clear();
}
