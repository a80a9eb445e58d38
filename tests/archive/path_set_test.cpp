// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/path_set.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::archive::path_set;

TEST_CASE("archive::path_set remembers and forgets paths, and the way to one") {
  path_set paths;
  for (const char* const path : {"a", "a/b", "a/b/c", "ab"}) CHECK(paths.insert(path).ok());
  CHECK(paths.insert("a").ok());
  CHECK_FALSE(paths.erase("b"));
  CHECK(paths.erase("a/b/c"));
  CHECK_FALSE(paths.erase("a/b/c"));
  paths.erase_way("a/b/other");
  CHECK_FALSE(paths.erase("a/b"));
  CHECK_FALSE(paths.erase("a"));
  CHECK(paths.erase("ab"));
  paths.erase_way("");
}

TEST_CASE("archive::path_set is bounded, and what is erased makes room") {
  path_set paths;
  std::size_t count = 0;
  absl::Status status;
  while ((status = paths.insert(std::to_string(count) + std::string(4000, 'p'))).ok()) ++count;
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(count > 1000);
  CHECK(count < 10'000);
  CHECK(paths.erase("0" + std::string(4000, 'p')));
  CHECK(paths.insert("0" + std::string(4000, 'p')).ok());
}
