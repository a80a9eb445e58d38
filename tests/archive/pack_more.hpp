// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// As pack.hpp, for what only Appc images are packed with.

#include <bzlib.h>
#include <lzma.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace support {

/// One bzip2 stream of blocks of `level` times 100 kB.
inline std::string bzip2(std::string_view text, int level = 9) {
  std::string out(text.size() + text.size() / 50 + 1000, '\0');
  auto size = static_cast<unsigned>(out.size());
  if (::BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(text.data()), static_cast<unsigned>(text.size()),
                                 level, 0, 0) != BZ_OK)
    throw std::runtime_error("BZ2_bzBuffToBuffCompress");
  out.resize(size);
  return out;
}

/// One xz stream.
inline std::string xz(std::string_view text, int level = 6) {
  std::string out(::lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  if (::lzma_easy_buffer_encode(static_cast<std::uint32_t>(level), LZMA_CHECK_CRC64, nullptr,
                                reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()) != LZMA_OK)
    throw std::runtime_error("lzma_easy_buffer_encode");
  out.resize(size);
  return out;
}

}  // namespace support
