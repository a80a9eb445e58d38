// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/decompress.hpp>

#include <doctest/doctest.h>

#include <archive/pack.hpp>
#include <archive/pack_more.hpp>
#include <digest/memory_reader.hpp>
#include <mortise/archive/bzip2.hpp>
#include <mortise/archive/xz.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <string>

using mortise::message;
using mortise::archive::compression;
using mortise::archive::decompress;
using mortise::archive::detect_compression;
using mortise::archive::limits;
using support::memory_reader;
using namespace mortise::literals;

namespace {

absl::StatusOr<std::string> unpacked(const std::string& blob, const limits& caps = {}, std::size_t piece = 1 << 20) {
  memory_reader source(blob, piece);
  auto stream = decompress(source, caps);
  if (!stream.ok()) return stream.status();
  return support::read_whole(**stream);
}

}  // namespace

TEST_CASE("compression is told by magic") {
  CHECK(detect_compression(support::gzip("x")) == compression::gzip);
  CHECK(detect_compression(support::zstd("x")) == compression::zstd);
  CHECK(detect_compression(support::zstd_skippable("x")) == compression::zstd);
  CHECK(detect_compression("BZh91AY&SY") == compression::bzip2);
  CHECK(detect_compression({"\xfd\x37zXZ\0", 6}) == compression::xz);
  CHECK(detect_compression({"\x04\x22\x4d\x18", 4}) == compression::lz4);
  CHECK(detect_compression("LZIP\x01") == compression::lzip);
  CHECK(detect_compression("\x1f\x9d") == compression::compress);
  CHECK(detect_compression("BZh9/a file's name") == compression::none);
  CHECK(detect_compression("P*M") == compression::none);
  CHECK(detect_compression("") == compression::none);
}

TEST_CASE("archive::decompress passes each kind of layer on as a plain stream") {
  const std::string text = support::sample_text(200'000);
  for (const std::size_t piece : {1U, 5U, 1U << 20}) {
    CHECK(*unpacked(text, {}, piece) == text);
    CHECK(*unpacked(support::gzip(text), {}, piece) == text);
    CHECK(*unpacked(support::zstd(text), {}, piece) == text);
    CHECK(*unpacked(support::zstd_skippable("toc") + support::zstd(text), {}, piece) == text);
  }
  CHECK(*unpacked("tiny") == "tiny");
  CHECK(*unpacked("") == "");
}

TEST_CASE("other compressions are refused by their names") {
  const absl::Status status = unpacked("BZh91AY&SYxxxxx").status();
  CHECK(status.code() == absl::StatusCode::kUnimplemented);
  CHECK(message(status) == "decompress layer: it is packed with bzip2 (layers are gzip, zstd or plain tar)");
  CHECK(unpacked(std::string("\xfd\x37zXZ\0....", 10)).status().code() == absl::StatusCode::kUnimplemented);
}

TEST_CASE("more bytes than allowed are not handed out, whatever the compression") {
  const std::string zeros(3'000'000, '\0');
  const limits caps{.unpacked = 2_MiB};
  for (const std::string& blob : {zeros, support::gzip(zeros), support::zstd(zeros)}) {
    const absl::Status status = unpacked(blob, caps).status();
    CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    CHECK(message(status) ==
          "decompress layer: more than the 2097152 bytes allowed come out (raise archive::limits if it is trusted)");
  }
  CHECK(unpacked(zeros, limits{.unpacked = {3'000'000}}).ok());
}

TEST_CASE("a ratio that only a bomb has is refused once enough came out") {
  const std::string bomb(40 << 20, '\0');
  const limits caps{.ratio = 100, .ratio_from = 8_MiB};
  const absl::Status status = unpacked(support::zstd(bomb), caps).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(message(status).find("more than 100 bytes come out for each that goes in") != std::string_view::npos);
  CHECK(unpacked(support::zstd(bomb.substr(0, 8 << 20)), caps).ok());
  CHECK(unpacked(support::gzip(support::sample_noise(10 << 20)), caps).ok());
}

TEST_CASE("failures of the source come through, at the first byte and later") {
  memory_reader early("", 10, mortise::errno_error(EIO, "read blob"));
  CHECK(mortise::errno_of(decompress(early).status()) == EIO);
  memory_reader late(support::gzip(support::sample_text(100'000)).substr(0, 5000), 512,
                     mortise::errno_error(EIO, "read blob"));
  const auto stream = decompress(late);
  REQUIRE(stream.ok());
  CHECK(mortise::errno_of(support::read_whole(**stream).status()) == EIO);
}

TEST_CASE("the compressed bytes are read to their end, so that both digests are verified in one pass") {
  using verifying = mortise::digest::verifying_reader<mortise::digest::openssl>;
  const std::string text = support::sample_text(200'000);
  const std::string blob = support::gzip(text);
  for (const bool right : {true, false}) {
    memory_reader source(blob);
    verifying packed(source, mortise::digest::of(right ? blob : "other"), blob.size(), "blob");
    auto stream = decompress(packed);
    REQUIRE(stream.ok());
    verifying plain(**stream, mortise::digest::of(text), std::nullopt, "layer");
    CHECK(plain.drain().ok() == right);
  }
}

TEST_CASE("archive::decompress reads what it is given decoders for, within the same limits") {
  using mortise::archive::bzip2_decoder;
  using mortise::archive::xz_decoder;
  const std::string text = support::sample_text(100'000);
  const auto read = [](const std::string& blob, const limits& caps = {}) -> absl::StatusOr<std::string> {
    memory_reader source(blob, 1000);
    MORTISE_ASSIGN_OR_RETURN(const auto stream, (decompress<bzip2_decoder, xz_decoder>(source, caps)));
    return support::read_whole(*stream);
  };
  for (const std::string& blob :
       {text, support::gzip(text), support::zstd(text), support::bzip2(text), support::xz(text)})
    CHECK(*read(blob) == text);
  const std::string zeros(3'000'000, '\0');
  for (const std::string& blob : {support::bzip2(zeros), support::xz(zeros)})
    CHECK(read(blob, {.unpacked = 2_MiB}).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(read(support::xz(text), {.xz_memory = 1_MiB}).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(message(read("LZIP\x01").status()) ==
        "decompress layer: it is packed with lzip (layers are bzip2, xz, gzip, zstd or plain tar)");
}
