// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/retry.hpp>

#include <doctest/doctest.h>

namespace fetch = mortise::fetch;

namespace {

using namespace std::chrono_literals;

std::optional<std::chrono::milliseconds> asked(const char* field, std::int64_t now = 0) {
  return fetch::asked_wait({.headers = {{"retry-AFTER", field}}}, now);
}

}  // namespace

TEST_CASE("retry: what is worth it") {
  using fetch::method;
  for (const int status : {408, 429, 500, 502, 503, 504}) CHECK(fetch::is_worth_retrying(method::get, status));
  for (const int status : {200, 206, 301, 400, 401, 403, 404, 416, 501, 505})
    CHECK(!fetch::is_worth_retrying(method::get, status));
  for (const int status : {408, 429, 503}) CHECK(fetch::is_worth_retrying(method::post, status));
  for (const int status : {500, 502, 504}) CHECK(!fetch::is_worth_retrying(method::post, status));
  CHECK(fetch::is_worth_retrying(method::head, absl::UnavailableError("")));
  CHECK(fetch::is_worth_retrying(method::get, absl::DeadlineExceededError("")));
  CHECK(!fetch::is_worth_retrying(method::post, absl::UnavailableError("")));
  CHECK(!fetch::is_worth_retrying(method::get, absl::CancelledError("")));
  CHECK(!fetch::is_worth_retrying(method::get, absl::PermissionDeniedError("")));
}

TEST_CASE("retry: Retry-After by seconds and by date") {
  CHECK(asked("0") == 0ms);
  CHECK(asked("120") == 120s);
  CHECK(asked("4294967295") == std::chrono::hours(366 * 24));
  CHECK(asked("Sun, 06 Nov 1994 08:49:37 GMT", 784111770) == 7s);
  CHECK(asked("Sun, 06 Nov 1994 08:49:37 GMT", 784111800) == 0ms);
  CHECK(asked("Thu, 31 Dec 9999 23:59:60 GMT") == std::chrono::hours(366 * 24));
  CHECK(!fetch::asked_wait({}, 0));
  for (const char* const bad :
       {"", "-1", "+1", "1.5", "1 ", "soon", "4294967296", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 ovD 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08-49:37 GMT", "Sun, 06.Nov 1994 08:49:37 GMT"}) {
    CAPTURE(bad);
    CHECK(!asked(bad));
  }
}

TEST_CASE("retry: waits double, up to a bound, and are scattered over their second half") {
  const fetch::retry_policy policy{.first = 500ms, .longest = 3s};
  const std::pair<unsigned, std::chrono::milliseconds> whole[] = {{1, 500ms}, {2, 1s}, {3, 2s},
                                                                  {4, 3s},    {5, 3s}, {4'000'000'000U, 3s}};
  for (const auto& [tries, wait] : whole) {
    CAPTURE(tries);
    CHECK(fetch::back_off(policy, tries, 0) == wait / 2);
    CHECK(fetch::back_off(policy, tries, 1023) == wait);
    for (std::uint32_t random = 0; random < 5000; random += 7) {
      CHECK(fetch::back_off(policy, tries, random) >= wait / 2);
      CHECK(fetch::back_off(policy, tries, random) <= wait);
    }
  }
  CHECK(fetch::back_off({.first = 0ms, .longest = 0ms}, 3, 5) == 0ms);
  CHECK(fetch::back_off({.first = 1s, .longest = 10ms}, 1, 1023) == 10ms);
}
