// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/fetcher.hpp>

#include <doctest/doctest.h>

#include <array>

namespace fetch = mortise::fetch;

namespace {

struct smallest {
  static constexpr std::array<std::string_view, 1> schemes = {"p2p"};
  static absl::StatusOr<fetch::response> fetch(const fetch::uri&, const fetch::request&, fetch::sink&) {
    return fetch::response{};
  }
};
struct without_schemes {
  static absl::StatusOr<fetch::response> fetch(const fetch::uri&, const fetch::request&, fetch::sink&);
};
static_assert(fetch::fetcher<smallest>);
static_assert(!fetch::fetcher<without_schemes>);
static_assert(!fetch::fetcher<int>);

}  // namespace

TEST_CASE("fetcher: a request is cancelled by its flag only") {
  fetch::request what;
  CHECK(fetch::check_cancelled(what).ok());
  std::atomic<bool> flag = false;
  what.cancelled = &flag;
  CHECK(fetch::check_cancelled(what).ok());
  flag = true;
  CHECK(fetch::check_cancelled(what).code() == absl::StatusCode::kCancelled);
}
