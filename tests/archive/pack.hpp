// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Making compressed test data with the libraries that others use, and text that is neither trivial nor random.

#include <zlib.h>
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace support {

/// Text of `size` bytes that compresses about as a file does, the same every time.
inline std::string sample_text(std::size_t size) {
  std::string out;
  std::uint32_t state = 12345;
  while (out.size() < size) {
    state = state * 1664525U + 1013904223U;
    out += "line " + std::to_string(state >> 20) + (state % 7 == 0 ? " of a file\n" : "\t");
  }
  out.resize(size);
  return out;
}

/// Bytes that do not compress, the same every time.
inline std::string sample_noise(std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t state = 88172645463325252ULL;
  for (char& each : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    each = static_cast<char>(state);
  }
  return out;
}

/// One gzip member.
inline std::string gzip(std::string_view text, int level = 6) {
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(::deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int code = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (code != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}

/// One zstd frame; with a `window_log` as if more was to come, so that it needs that window to decode.
inline std::string zstd(std::string_view text, int window_log = 0) {
  ZSTD_CCtx* const context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  if (window_log != 0) {
    ::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ::ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  std::string out(::ZSTD_compressBound(text.size()) + 64, '\0');
  ZSTD_inBuffer source{text.data(), text.size(), 0};
  ZSTD_outBuffer target{out.data(), out.size(), 0};
  // Two calls: one that ends the frame at once would shrink the window to the text.
  ::ZSTD_compressStream2(context, &target, &source, ZSTD_e_continue);
  const std::size_t code = ::ZSTD_compressStream2(context, &target, &source, ZSTD_e_end);
  ::ZSTD_freeCCtx(context);
  if (code != 0) throw std::runtime_error("ZSTD_compressStream2");
  out.resize(target.pos);
  return out;
}

/// A zstd frame that decoders skip.
inline std::string zstd_skippable(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string out("\x5e\x2a\x4d\x18", 4);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(size >> shift));
  return out.append(text);
}

}  // namespace support
