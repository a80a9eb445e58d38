// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/zstd.hpp>

#include <doctest/doctest.h>

#include <archive/pack.hpp>
#include <digest/memory_reader.hpp>
#include <string>

using mortise::archive::zstd_reader;
using support::memory_reader;

namespace {

absl::StatusOr<std::string> unpacked(const std::string& blob, std::size_t in = 1 << 20, std::size_t out = 64 * 1024) {
  memory_reader source(blob, in);
  zstd_reader reader(source);
  return support::read_whole(reader, out);
}

std::string why(const std::string& blob) {
  const auto got = unpacked(blob, 1000);
  CHECK(got.status().code() == absl::StatusCode::kDataLoss);
  return std::string(mortise::message(got.status()));
}

const std::string text = support::sample_text(300'000);

}  // namespace

TEST_CASE("archive::zstd_reader reads frames one after another, in pieces of any size") {
  const std::string blob = support::zstd(text) + support::zstd("") + support::zstd("x");
  for (const std::size_t in : {1U, 100U, 1U << 20})
    for (const std::size_t out : {1U, 1000U, 1U << 20}) CHECK(*unpacked(blob, in, out) == text + "x");
}

TEST_CASE("archive::zstd_reader skips skippable frames, before, between and after") {
  const std::string skip = support::zstd_skippable("a table of contents");
  CHECK(*unpacked(skip + support::zstd(text) + skip + skip + support::zstd("x") + skip, 7) == text + "x");
  CHECK(*unpacked(skip) == "");
}

TEST_CASE("archive::zstd_reader refuses what is truncated, damaged or followed by garbage") {
  const std::string blob = support::zstd(text);
  CHECK(why("") == "decompress zstd: it is empty");
  for (const std::size_t size : {blob.size() - 1, blob.size() / 2, std::size_t{6}, std::size_t{3}})
    CHECK(why(blob.substr(0, size)) == "decompress zstd: it is truncated");
  CHECK(why(blob + "garbage, and more of it") == "decompress zstd: there is garbage behind it");
  CHECK(why(blob + std::string(1024, '\0')) == "decompress zstd: there is garbage behind it");
  CHECK(why(support::zstd_skippable("cut").substr(0, 9)) == "decompress zstd: it is truncated");
  std::string bad = blob;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 0x40);
  CHECK_FALSE(unpacked(bad).ok());
}

TEST_CASE("archive::zstd_reader takes windows of 128 MiB and refuses larger ones") {
  CHECK(*unpacked(support::zstd(text, 27)) == text);
  CHECK(why(support::zstd(text, 28)).find("too much memory") != std::string::npos);
  memory_reader source(support::zstd(text, 24));
  zstd_reader small(source, 23);
  CHECK_FALSE(support::read_whole(small).ok());
  memory_reader other(support::zstd(text));
  zstd_reader nonsense(other, 99);
  CHECK(support::read_whole(nonsense).status().code() == absl::StatusCode::kInvalidArgument);
}
