// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the readers of bzip2 and of xz must do; gzip_suite.hpp has its peculiarities beside that.

#include <doctest/doctest.h>

#include <archive/gzip_suite.hpp>
#include <archive/pack.hpp>
#include <cstddef>
#include <digest/memory_reader.hpp>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>

namespace support {

/// `pack` makes one stream; `format` is its name in messages.
template <class Reader>
void stream_suite(const std::string& format, std::string (*pack)(std::string_view, int)) {
  const std::string text = sample_text(200'000);
  const std::string blob = pack(text, 6);
  const std::string begin = "decompress " + format + ": ";

  SUBCASE("in pieces of any size") {
    for (const std::size_t in : {1U, 7U, 4096U, 1U << 20})
      for (const std::size_t out : {1U, 100U, 1U << 20}) CHECK(*unpacked<Reader>(blob, in, out) == text);
  }
  SUBCASE("streams that follow one another, empty ones too") {
    const std::string noise = sample_noise(50'000);
    const std::string many = blob + pack("", 6) + pack(noise, 6) + pack("x", 6);
    for (const std::size_t in : {1U, 13U, 1U << 20}) CHECK(*unpacked<Reader>(many, in) == text + noise + "x");
    CHECK(*unpacked<Reader>(pack("", 6)) == "");
  }
  SUBCASE("what ends too early") {
    for (const std::size_t size : {blob.size() - 1, blob.size() - 9, blob.size() / 2, std::size_t{12}, std::size_t{5}})
      CHECK(failure_of<Reader>(blob.substr(0, size)) == begin + "it is truncated");
    CHECK(failure_of<Reader>("") == begin + "it is empty");
    CHECK(failure_of<Reader>(blob + pack(text, 6).substr(0, 1000), 100) == begin + "it is truncated");
  }
  SUBCASE("what comes behind the last stream") {
    for (const std::string& garbage : {std::string(512, '\0'), std::string("garbage that is no stream")})
      for (const std::size_t in : {3U, 1U << 20})
        CHECK(failure_of<Reader>(blob + garbage, in) == begin + "there is garbage behind it");
  }
  SUBCASE("damage") {
    for (const std::size_t at : {blob.size() - 1, blob.size() - 5, blob.size() / 2, blob.size() / 3}) {
      std::string bad = blob;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      CHECK_FALSE(unpacked<Reader>(bad).ok());
    }
  }
  SUBCASE("the source's failure, which stays") {
    memory_reader source(blob.substr(0, 1000), 100, mortise::errno_error(EIO, "read blob"));
    Reader reader(source);
    CHECK(mortise::message(read_whole(reader).status()) == "read blob: Input/output error");
    CHECK(mortise::message(read_whole(reader).status()) == "read blob: Input/output error");
  }
}

}  // namespace support
