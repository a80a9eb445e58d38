// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/fetcher.hpp>

#include <doctest/doctest.h>

#include <array>
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/file.hpp>
#include <pages/page.hpp>
#include <support/collect.hpp>

// archetype
/// The least that is a fetcher: every resource of "echo:" is its own name.
struct fetcher_archetype {
  static constexpr std::array<std::string_view, 1> schemes = {"echo"};

  absl::StatusOr<mortise::fetch::response> fetch(const mortise::fetch::uri& from, const mortise::fetch::request& what,
                                                 mortise::fetch::sink& into) const {
    namespace fetch = mortise::fetch;
    const std::string_view whole = from.path;
    MORTISE_RETURN_IF_ERROR(fetch::check_cancelled(what));
    if (whole.size() > what.limit) return mortise::error(absl::StatusCode::kResourceExhausted, "fetch echo: too long");
    if (what.offset > whole.size()) return mortise::error(absl::StatusCode::kOutOfRange, "fetch echo: behind its end");
    const fetch::response about{.status = what.offset == 0 ? 200 : 206, .offset = what.offset, .total = whole.size()};
    MORTISE_RETURN_IF_ERROR(into.begin(about));
    MORTISE_RETURN_IF_ERROR(into.write(std::as_bytes(std::span(whole).subspan(what.offset))));
    return about;
  }
};

static_assert(mortise::fetch::fetcher<fetcher_archetype>);
// end of archetype

TEST_CASE("concepts: the page of fetcher prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/fetcher"));
}

TEST_CASE("concepts: a set of fetchers takes the fetcher archetype") {
  namespace fetch = mortise::fetch;
  const fetch::any_of<fetcher_archetype, fetch::file> all;
  support::collect into;
  const auto from = *fetch::parse_uri("echo:hello");
  fetch::request what;
  what.offset = 3;
  const auto out = all.fetch(from, what, into);
  REQUIRE(out.ok());
  CHECK(into.text == "lo");
  CHECK(out->status == 206);
  what.offset = 6;
  CHECK(absl::IsOutOfRange(all.fetch(from, what, into).status()));
  what.limit = 4;
  CHECK(absl::IsResourceExhausted(all.fetch(from, what, into).status()));
}
