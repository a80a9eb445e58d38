// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// gzip by zlib, for machines without ISA-L.
/// Needs: zlib.

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <mortise/archive/stage.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>

namespace mortise::archive {

/// Checks each member's CRC-32 and length.
class zlib_decoder {
 public:
  static constexpr std::string_view format = "gzip";

  absl::Status begin() {
    if (stream_ != nullptr) {
      ::inflateReset(stream_.get());
      return absl::OkStatus();
    }
    // The library keeps a pointer to the stream, which therefore must not move with this object.
    auto* const stream = new z_stream{};
    if (::inflateInit2(stream, gzip_only) != Z_OK) {
      delete stream;
      return error(absl::StatusCode::kResourceExhausted, "set up zlib: out of memory");
    }
    stream_.reset(stream);
    return absl::OkStatus();
  }

  absl::StatusOr<decoded> step(std::span<const std::byte> from, std::span<std::byte> into) {
    // The library only reads through this pointer, but has a const only on request.
    stream_->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data()));
    stream_->avail_in = clamp(from.size());
    stream_->next_out = reinterpret_cast<Bytef*>(into.data());
    stream_->avail_out = clamp(into.size());
    const uInt had = stream_->avail_in;
    const uInt room = stream_->avail_out;
    const int code = ::inflate(stream_.get(), Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)  // Z_BUF_ERROR: no progress with so little
      return error(absl::StatusCode::kDataLoss, stream_->msg != nullptr ? stream_->msg : "invalid data");
    return decoded{had - stream_->avail_in, room - stream_->avail_out, code == Z_STREAM_END};
  }

 private:
  static constexpr int gzip_only = 16 + MAX_WBITS;

  struct end_stream {
    void operator()(z_stream* stream) const {
      ::inflateEnd(stream);
      delete stream;
    }
  };

  static uInt clamp(std::size_t size) {
    return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
  }

  std::unique_ptr<z_stream, end_stream> stream_;
};

/// A gzip stream inflated by zlib.
using zlib_reader = decoding_reader<zlib_decoder>;

static_assert(decoder<zlib_decoder>);

}  // namespace mortise::archive
