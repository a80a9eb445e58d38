// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/any_of.hpp>

#include <doctest/doctest.h>

namespace fetch = mortise::fetch;

namespace {

struct p2p {
  static constexpr std::array<std::string_view, 1> schemes = {"p2p"};
  int status = 201;
  [[nodiscard]] absl::StatusOr<fetch::response> fetch(const fetch::uri&, const fetch::request&, fetch::sink&) const {
    fetch::response out;
    out.status = status;
    return out;
  }
};
struct store {
  static constexpr std::array<std::string_view, 2> schemes = {"s3", "gs"};
  static absl::StatusOr<fetch::response> fetch(const fetch::uri&, const fetch::request&, fetch::sink&) {
    return absl::DataLossError("of the second");
  }
};
class no_sink : public fetch::sink {
  absl::Status begin(const fetch::response&) override { return absl::OkStatus(); }
  absl::Status write(std::span<const std::byte>) override { return absl::OkStatus(); }
};

using both = fetch::any_of<p2p, store>;
static_assert(fetch::fetcher<both>);
static_assert(fetch::fetcher<fetch::any_of<both>>);
static_assert(both::schemes.size() == 3);
static_assert(!fetch::detail::are_distinct(fetch::detail::all_schemes<p2p, store, p2p>()));

}  // namespace

TEST_CASE("any_of: the scheme chooses, an unknown one is told which there are") {
  const both all(std::in_place, p2p{.status = 202}, store{});
  no_sink into;
  const auto fetched = [&](const char* from) { return all.fetch(*fetch::parse_uri(from), {}, into); };
  REQUIRE(fetched("P2P:x").ok());
  CHECK(fetched("p2p:x")->status == 202);
  CHECK(fetched("s3:x").status().code() == absl::StatusCode::kDataLoss);
  CHECK(fetched("gs:x").status().code() == absl::StatusCode::kDataLoss);
  const auto unknown = fetched("ftp:x").status();
  CHECK(unknown.code() == absl::StatusCode::kUnimplemented);
  CHECK(mortise::message(unknown).find("p2p, s3, gs") != std::string_view::npos);
}
