// SPDX-License-Identifier: Apache-2.0
#include <mortise/digest/verifying_reader.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>
#include <mortise/digest/openssl.hpp>
#include <string>

using mortise::message;
using support::memory_reader;
using verifying = mortise::digest::verifying_reader<mortise::digest::openssl>;

namespace {

const std::string text = "the bytes of a blob";
const mortise::model::digest right = mortise::digest::of(text);

}  // namespace

TEST_CASE("a verifying reader passes the promised bytes and ends") {
  for (const std::size_t piece : {1U, 3U, 64U}) {
    memory_reader source(text, piece);
    verifying reader(source, right, text.size(), "blob");
    const auto got = support::read_whole(reader, 7);
    REQUIRE(got.ok());
    CHECK(*got == text);
    CHECK(reader.count() == text.size());
    std::byte more[4];
    CHECK(*reader.read(more) == 0);  // the end stays the end
    CHECK(reader.drain().ok());
  }
}

TEST_CASE("a size need not be promised") {
  memory_reader source(text);
  verifying reader(source, right, std::nullopt, "blob");
  CHECK(*support::read_whole(reader) == text);
}

TEST_CASE("a wrong digest fails at the end, and keeps failing") {
  memory_reader source(text + "!");
  verifying reader(source, right, std::nullopt, "layer 2 of busybox");
  const auto got = support::read_whole(reader);
  CHECK(got.status().code() == absl::StatusCode::kDataLoss);
  CHECK(message(got.status()) == "verify layer 2 of busybox: its digest is " + mortise::digest::of(text + "!").text() +
                                     ", expected " + right.text());
  std::byte more[4];
  CHECK(reader.read(more).status() == got.status());
  CHECK(reader.drain() == got.status());
}

TEST_CASE("a blob that is too short or too long fails by its size") {
  memory_reader too_short(text.substr(0, 5));
  verifying first(too_short, right, text.size(), "blob");
  CHECK(message(support::read_whole(first).status()) == "verify blob: it ends after 5 of the 19 bytes expected");

  memory_reader too_long(text + "more");
  verifying second(too_long, right, text.size(), "blob");
  CHECK(message(support::read_whole(second).status()) == "verify blob: it is longer than the 19 bytes expected");
}

TEST_CASE("an endless source is read one byte beyond the promise") {
  support::endless_reader source('x');
  verifying reader(source, right, 100'000, "blob");
  const absl::Status status = reader.drain();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(source.taken() == 100'001);
}

TEST_CASE("drain verifies what nobody cared to read") {
  memory_reader good(text);
  verifying first(good, right, text.size(), "blob");
  std::byte some[4];
  REQUIRE(*first.read(some) == 4);
  CHECK(first.drain().ok());

  memory_reader bad("the bytes of a bloB");
  verifying second(bad, right, text.size(), "blob");
  REQUIRE(*second.read(some) == 4);
  CHECK(second.drain().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("an empty blob has a digest too") {
  memory_reader source("");
  verifying reader(source, mortise::digest::of(""), 0, "blob");
  CHECK(reader.drain().ok());
  memory_reader other("");
  verifying wrong(other, right, 0, "blob");
  CHECK(wrong.drain().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("sha512 is verified as sha512") {
  const auto expected = mortise::model::digest::parse(
      "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  REQUIRE(expected.ok());
  memory_reader source("abc");
  verifying reader(source, *expected, 3, "blob");
  CHECK(reader.drain().ok());
}

TEST_CASE("the source's failure is passed on as it is") {
  memory_reader source(text, 4, mortise::errno_error(ECONNRESET, "read from the registry"));
  verifying reader(source, right, 100, "blob");
  const absl::Status status = reader.drain();
  CHECK(mortise::errno_of(status) == ECONNRESET);
  CHECK(message(status) == "read from the registry: Connection reset by peer");
}

TEST_CASE("reading into no space is not taken for the end") {
  memory_reader source(text);
  verifying reader(source, right, text.size(), "blob");
  CHECK_FALSE(reader.read({}).ok());
}
