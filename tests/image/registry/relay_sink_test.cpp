// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/relay_sink.hpp>

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>

using absl::StatusCode;
using mortise::image::distribution::relay_sink;

namespace {

class listener : public mortise::fetch::sink {
 public:
  absl::Status begin(const mortise::fetch::response& about) override {
    ++begun;
    offset = about.offset;
    return absl::OkStatus();
  }
  absl::Status write(std::span<const std::byte> piece) override {
    if (full) return absl::ResourceExhaustedError("full");
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  }
  int begun = 0;
  std::uint64_t offset = 0;
  std::string text;
  bool full = false;
};

absl::Status write(relay_sink& to, std::string_view text) { return to.write(std::as_bytes(std::span(text))); }

}  // namespace

TEST_CASE("relay sink: two servers look like one") {
  listener into;
  relay_sink relay(into, 10, 16);
  CHECK_FALSE(relay.is_begun());
  CHECK(relay.begin({}).ok());
  CHECK(write(relay, "abc").ok());
  CHECK(relay.at() == 13);
  CHECK(relay.begin({}).ok());
  CHECK_FALSE(relay.is_complete());
  CHECK(write(relay, "def").ok());
  CHECK(relay.is_complete());
  CHECK(write(relay, "g").code() == StatusCode::kDataLoss);
  CHECK(into.text == "abcdef");
  CHECK(into.begun == 1);
  CHECK(into.offset == 10);
  CHECK_FALSE(relay.is_refused());
}

TEST_CASE("relay sink: whose fault a failure was") {
  listener into;
  into.full = true;
  relay_sink relay(into, 0, 3);
  CHECK(relay.begin({}).ok());
  CHECK(write(relay, "abc").code() == StatusCode::kResourceExhausted);
  CHECK(relay.is_refused());
}
