// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// bzip2 by its own library: streams one after another, as parallel compressors write them.
/// Needs: libbz2.

#include <bzlib.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <mortise/archive/stage.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>

namespace mortise::archive {

/// Checks each block's CRC and each stream's. Takes less than 4 MiB, whatever the stream asks for.
class bzip2_decoder {
 public:
  static constexpr std::string_view format = "bzip2";

  absl::Status begin() {
    stream_.reset();
    // The library keeps a pointer to the stream, which therefore must not move with this object.
    auto* const stream = new bz_stream{};
    if (::BZ2_bzDecompressInit(stream, 0, 0) != BZ_OK) {
      delete stream;
      return error(absl::StatusCode::kResourceExhausted, "set up bzip2: out of memory");
    }
    stream_.reset(stream);
    return absl::OkStatus();
  }

  absl::StatusOr<decoded> step(std::span<const std::byte> from, std::span<std::byte> into) {
    // The library only reads through this pointer, but has no const.
    stream_->next_in = reinterpret_cast<char*>(const_cast<std::byte*>(from.data()));
    stream_->avail_in = clamp(from.size());
    stream_->next_out = reinterpret_cast<char*>(into.data());
    stream_->avail_out = clamp(into.size());
    const unsigned had = stream_->avail_in;
    const unsigned room = stream_->avail_out;
    const int code = ::BZ2_bzDecompress(stream_.get());
    if (code == BZ_MEM_ERROR) return error(absl::StatusCode::kResourceExhausted, "out of memory");
    if (code != BZ_OK && code != BZ_STREAM_END) return error(absl::StatusCode::kDataLoss, "invalid data");
    return decoded{had - stream_->avail_in, room - stream_->avail_out, code == BZ_STREAM_END};
  }

 private:
  struct end_stream {
    void operator()(bz_stream* stream) const {
      ::BZ2_bzDecompressEnd(stream);
      delete stream;
    }
  };

  static unsigned clamp(std::size_t size) {
    return static_cast<unsigned>(std::min<std::size_t>(size, std::numeric_limits<unsigned>::max()));
  }

  std::unique_ptr<bz_stream, end_stream> stream_;
};

/// A bzip2 stream.
using bzip2_reader = decoding_reader<bzip2_decoder>;

static_assert(decoder<bzip2_decoder>);

}  // namespace mortise::archive
