// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/body.hpp>

#include <doctest/doctest.h>

#include <support/collect.hpp>

namespace fetch = mortise::fetch;

namespace {

const fetch::uri from = *fetch::parse_uri("http://h/");

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

fetch::response whole(std::uint64_t size) { return {.total = size}; }
fetch::response part(const char* range) { return {.status = 206, .headers = {{"Content-Range", range}}}; }

}  // namespace

TEST_CASE("body: pieces of several answers become one, which begins once") {
  support::collect into;
  const fetch::call what{.to = from};
  fetch::body body(what, into);
  CHECK(!body.wants_part());
  REQUIRE(body.begin(whole(10), from).ok());
  REQUIRE(body.write(bytes("0123")).ok());
  CHECK(absl::IsUnavailable(body.end()));
  CHECK(body.wants_part());
  CHECK(body.range() == "bytes=4-");
  REQUIRE(body.begin(part("bytes 4-9/10"), from).ok());
  REQUIRE(body.write(bytes("45")).ok());
  REQUIRE(body.begin(whole(10), from).ok());  // ranges are ignored now
  REQUIRE(body.write(bytes("012")).ok());
  CHECK(absl::IsUnavailable(body.end()));
  REQUIRE(body.write(bytes("3456")).ok());
  REQUIRE(body.write(bytes("789")).ok());
  CHECK(body.end().ok());
  CHECK(into.text == "0123456789");
  CHECK(into.begun == 1);
  CHECK(body.about().status == 200);
}

TEST_CASE("body: a server may send a part of what was asked for, but no more than it said") {
  support::collect into;
  const fetch::call what{.to = from, .offset = 2, .end = 8};
  fetch::body body(what, into);
  CHECK(body.range() == "bytes=2-7");
  REQUIRE(body.begin(part("bytes 2-4/*"), from).ok());
  CHECK(absl::IsDataLoss(body.write(bytes("2345"))));
  REQUIRE(body.write(bytes("234")).ok());
  CHECK(absl::IsUnavailable(body.end()));
  CHECK(absl::IsDataLoss(body.begin(part("bytes 5-8/10"), from)));  // beyond the end
  REQUIRE(body.begin(part("bytes 5-7/10"), from).ok());
  REQUIRE(body.write(bytes("567")).ok());
  CHECK(body.end().ok());
  CHECK(into.text == "234567");
}

TEST_CASE("body: an unknown size is known by the end, and a shrunk one shows") {
  support::collect into;
  const fetch::call what{.to = from};
  fetch::body body(what, into);
  REQUIRE(body.begin({}, from).ok());
  REQUIRE(body.write(bytes("0123")).ok());
  CHECK(body.end().ok());  // if the transport says that all came
  CHECK(absl::IsDataLoss(body.begin(whole(3), from)));
  CHECK(absl::IsOutOfRange(body.take_nothing({.status = 416})));
  CHECK(body.take_nothing({.status = 416, .headers = {{"Content-Range", "bytes */4"}}}).ok());
  CHECK(body.take_nothing({.status = 416}).ok());
  CHECK(absl::IsDataLoss(body.take_nothing({.status = 416, .headers = {{"Content-Range", "bytes */5"}}})));
  CHECK(into.begun == 1);
}

TEST_CASE("body: limits hold to the byte") {
  support::collect into;
  const fetch::call what{.to = from, .limit = 4};
  fetch::body body(what, into);
  CHECK(absl::IsResourceExhausted(body.begin(whole(5), from)));
  REQUIRE(body.begin({}, from).ok());
  REQUIRE(body.write(bytes("0123")).ok());
  CHECK(absl::IsResourceExhausted(body.write(bytes("4"))));
  CHECK(into.text == "0123");
  const fetch::call behind{.to = from, .offset = 10, .limit = 4};
  fetch::body none(behind, into);
  REQUIRE(none.begin(part("bytes 10-11/*"), from).ok());
  CHECK(absl::IsResourceExhausted(none.write(bytes("4"))));
}

TEST_CASE("body: entity tags are compared within one origin only, weak ones never") {
  support::collect into;
  const fetch::call what{.to = from, .offset = 1};
  const auto tagged = [](const char* tag) {
    return fetch::response{.status = 206, .headers = {{"Content-Range", "bytes 1-9/10"}, {"ETag", tag}}};
  };
  fetch::body body(what, into);
  REQUIRE(body.begin(tagged("\"a\""), from).ok());
  CHECK(body.begin(tagged("W/\"b\""), from).ok());
  CHECK(absl::IsDataLoss(body.begin(tagged("\"b\""), from)));
  CHECK(body.begin(tagged("\"b\""), *fetch::parse_uri("http://mirror/")).ok());
}
