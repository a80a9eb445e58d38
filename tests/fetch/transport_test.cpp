// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/transport.hpp>

#include <doctest/doctest.h>

#include <array>

namespace {

using namespace mortise;

/// The smallest transport: answers with the verb.
struct echo {
  static constexpr std::array<std::string_view, 1> schemes = {"echo"};

  absl::StatusOr<fetch::response> exchange(const fetch::exchange& what, fetch::sink& into) const {
    fetch::response out;
    out.total = name_of(what.verb).size();
    MORTISE_RETURN_IF_ERROR(into.begin(out));
    MORTISE_RETURN_IF_ERROR(into.write(std::as_bytes(std::span(name_of(what.verb)))));
    return out;
  }
};
static_assert(fetch::transport<echo>);

struct text_sink final : fetch::sink {
  absl::Status begin(const fetch::response& about) override {
    size = about.total;
    return absl::OkStatus();
  }
  absl::Status write(std::span<const std::byte> piece) override {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  }
  std::optional<std::uint64_t> size;
  std::string text;
};

}  // namespace

TEST_CASE("transport: a class with one function is one") {
  text_sink got;
  REQUIRE(echo().exchange({.verb = fetch::method::head, .to = *fetch::parse_uri("echo:x")}, got).ok());
  CHECK(got.text == "HEAD");
  CHECK(got.size == 4);
}
