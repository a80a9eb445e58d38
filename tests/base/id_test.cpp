// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/id.hpp>

#include <doctest/doctest.h>

using mortise::container_id;

TEST_CASE("id: a narrow grammar") {
  for (const std::string& good :
       {std::string("a"), std::string("0"), std::string("web-1.prod_2"), std::string(64, 'x')})
    CHECK(container_id::parse(good)->text() == good);
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("-a"), std::string("_a"), std::string("a/b"),
        std::string("a\0b", 3), std::string("a b"), std::string("\xc3\xa9"), std::string(65, 'x')})
    CHECK(container_id::parse(bad).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(mortise::message(container_id::parse("a\n").status()).starts_with("parse container id 'a\\x0a': "));
}

TEST_CASE("id: random ones are valid and differ") {
  const auto one = container_id::random();
  CHECK(one.text().size() == 12);
  CHECK(*container_id::parse(one.text()) == one);
  CHECK(one != container_id::random());
}
