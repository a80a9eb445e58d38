// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/text_sink.hpp>

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>

using mortise::image::distribution::text_sink;

namespace {
absl::Status write(text_sink& to, std::string_view text) { return to.write(std::as_bytes(std::span(text))); }
}  // namespace

TEST_CASE("text sink: takes as much as it may") {
  text_sink sink(5);
  CHECK(sink.begin({}).ok());
  CHECK(write(sink, "abc").ok());
  CHECK(write(sink, "de").ok());
  CHECK(write(sink, "").ok());
  CHECK(write(sink, "f").code() == absl::StatusCode::kResourceExhausted);
  CHECK(sink.take() == "abcde");
  CHECK(sink.take().empty());
}

TEST_CASE("text sink: what is announced too large is refused before it comes") {
  text_sink sink(5);
  mortise::fetch::response about;
  about.total = 5;
  CHECK(sink.begin(about).ok());
  about.total = std::uint64_t{5} << 30;
  CHECK(sink.begin(about).code() == absl::StatusCode::kResourceExhausted);
}
