// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What every reader of gzip must do.

#include <doctest/doctest.h>

#include <archive/pack.hpp>
#include <cstddef>
#include <digest/memory_reader.hpp>
#include <mortise/base/status.hpp>
#include <string>

namespace support {

template <class Reader>
absl::StatusOr<std::string> unpacked(const std::string& blob, std::size_t in = 1 << 20, std::size_t out = 64 * 1024) {
  memory_reader source(blob, in);
  Reader reader(source);
  return read_whole(reader, out);
}

template <class Reader>
std::string failure_of(const std::string& blob, std::size_t in = 1 << 20) {
  const auto got = unpacked<Reader>(blob, in);
  CHECK(got.status().code() == absl::StatusCode::kDataLoss);
  return std::string(mortise::message(got.status()));
}

template <class Reader>
void gzip_suite() {
  const std::string text = sample_text(300'000);
  const std::string noise = sample_noise(100'000);

  SUBCASE("one member, in pieces of any size") {
    for (const std::size_t in : {1U, 7U, 4096U, 1U << 20})
      for (const std::size_t out : {1U, 100U, 1U << 20}) CHECK(*unpacked<Reader>(gzip(text), in, out) == text);
    for (const int level : {0, 1, 9}) CHECK(*unpacked<Reader>(gzip(noise, level), 1, 1000) == noise);
  }
  SUBCASE("members that follow one another, empty ones too") {
    const std::string blob = gzip(text) + gzip("") + gzip(noise) + gzip("x");
    for (const std::size_t in : {1U, 13U, 1U << 20}) CHECK(*unpacked<Reader>(blob, in) == text + noise + "x");
    std::string many;
    std::string expected;
    for (int at = 0; at < 1000; ++at) {
      many += gzip(std::to_string(at));
      expected += std::to_string(at);
    }
    CHECK(*unpacked<Reader>(many, 5, 3) == expected);
    CHECK(*unpacked<Reader>(gzip("")) == "");
  }
  SUBCASE("a header with extra field, name, comment and checksum") {
    std::string header("\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x04\0xtraname\0comment\0", 29);
    const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(header.data()), static_cast<uInt>(header.size()));
    header += {static_cast<char>(sum), static_cast<char>(sum >> 8)};
    const std::string member = header + gzip("named").substr(10);
    for (const std::size_t in : {1U, 2U, 11U, 25U, 100U}) CHECK(*unpacked<Reader>(member + member, in) == "namednamed");
    CHECK(failure_of<Reader>(header) == "decompress gzip: it is truncated");
  }
  SUBCASE("a header with flags that nobody has given a meaning") {
    for (const char flag : {'\x20', '\x40', '\x80'}) {
      std::string blob = gzip(text);
      blob[3] = static_cast<char>(blob[3] | flag);
      for (const std::size_t in : {1U, 11U, 1U << 20}) CHECK_FALSE(unpacked<Reader>(blob, in).ok());
    }
  }
  SUBCASE("what ends too early") {
    const std::string blob = gzip(text);
    for (const std::size_t size : {blob.size() - 1, blob.size() - 8, blob.size() - 9, blob.size() / 2, std::size_t{12},
                                   std::size_t{5}, std::size_t{2}})
      CHECK(failure_of<Reader>(blob.substr(0, size)) == "decompress gzip: it is truncated");
    CHECK(failure_of<Reader>("") == "decompress gzip: it is empty");
    CHECK(failure_of<Reader>(blob + gzip(noise).substr(0, 5000), 100) == "decompress gzip: it is truncated");
  }
  SUBCASE("what comes behind the last member") {
    for (const std::string& garbage :
         {std::string(512, '\0'), std::string("garbage that is no member"), sample_noise(5000)})
      for (const std::size_t in : {3U, 1U << 20})
        CHECK(failure_of<Reader>(gzip(text) + garbage, in) == "decompress gzip: there is garbage behind it");
  }
  SUBCASE("damaged data, checksum, length") {
    const std::string blob = gzip(text);
    for (const std::size_t at : {blob.size() - 1, blob.size() - 5, blob.size() / 2, blob.size() / 3}) {
      std::string bad = blob;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      CHECK_FALSE(unpacked<Reader>(bad).ok());
    }
    CHECK_FALSE(unpacked<Reader>("not gzip at all").ok());
  }
  SUBCASE("the source's failure, which stays") {
    memory_reader source(gzip(text).substr(0, 1000), 100, mortise::errno_error(EIO, "read blob"));
    Reader reader(source);
    CHECK(mortise::message(read_whole(reader).status()) == "read blob: Input/output error");
    CHECK(mortise::message(read_whole(reader).status()) == "read blob: Input/output error");
  }
}

}  // namespace support
