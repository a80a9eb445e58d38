// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/call.hpp>

#include <doctest/doctest.h>

namespace fetch = mortise::fetch;

TEST_CASE("call: an answer is good from 200 to 299") {
  for (const int status : {200, 204, 206, 299}) CHECK(fetch::answer{.about = {.status = status}}.ok());
  for (const int status : {0, 199, 300, 304, 404, 500}) CHECK(!fetch::answer{.about = {.status = status}}.ok());
}

TEST_CASE("call: what is not said is a GET of all, by nobody, as patient as the policy") {
  const fetch::call what{.to = *fetch::parse_uri("http://h/")};
  CHECK(what.verb == fetch::method::get);
  CHECK(what.offset == 0);
  CHECK(!what.end);
  CHECK(what.who == nullptr);
  CHECK(what.retry.tries > 1);
  CHECK(!what.retry.deadline);
}
