// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/followed_links.hpp>

#include <doctest/doctest.h>

using mortise::message;
using mortise::archive::followed_links;

TEST_CASE("archive::followed_links allows forty for one entry, and a few for each of many") {
  followed_links links;
  for (int each = 0; each < 40; ++each) REQUIRE(links.count(1).ok());
  CHECK(message(links.count(1)) == "too many symbolic links lead to it");
  links = {};
  for (unsigned entry = 1; entry <= 100'000; ++entry) {
    links.begin();
    for (int each = 0; each < 4; ++each) REQUIRE(links.count(entry).ok());
  }
  absl::Status status;
  for (unsigned entry = 100'001; entry <= 200'000 && status.ok(); ++entry) {
    links.begin();
    for (int each = 0; each < 39 && status.ok(); ++each) status = links.count(entry);
  }
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
}
