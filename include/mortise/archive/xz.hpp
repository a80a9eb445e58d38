// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// xz by liblzma, in this process: streams one after another, without the padding between them that no common tool
/// writes.
/// Needs: liblzma.

#include <lzma.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/limits.hpp>
#include <mortise/archive/stage.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>

namespace mortise::archive {

/// Checks each block's checksum and each stream's index. A stream that asks for more memory than the limits
/// allow is refused before that is spent. A file that never ends, or stops in its middle, ends with an error and cannot
/// hold anybody (CVE-2021-20291 was a pipe to a program that waited).
class xz_decoder {
 public:
  static constexpr std::string_view format = "xz";

  explicit xz_decoder(const limits& caps = {}) : memory_(caps.xz_memory) {}

  absl::Status begin() {
    if (stream_ == nullptr) stream_.reset(new lzma_stream(LZMA_STREAM_INIT));
    if (::lzma_stream_decoder(stream_.get(), memory_.count, 0) == LZMA_OK) return absl::OkStatus();
    return error(absl::StatusCode::kResourceExhausted, "set up xz: out of memory");
  }

  absl::StatusOr<decoded> step(std::span<const std::byte> from, std::span<std::byte> into) {
    stream_->next_in = reinterpret_cast<const std::uint8_t*>(from.data());
    stream_->avail_in = from.size();
    stream_->next_out = reinterpret_cast<std::uint8_t*>(into.data());
    stream_->avail_out = into.size();
    const lzma_ret code = ::lzma_code(stream_.get(), LZMA_RUN);
    const decoded done{from.size() - stream_->avail_in, into.size() - stream_->avail_out, code == LZMA_STREAM_END};
    switch (code) {
      case LZMA_OK:
      case LZMA_STREAM_END:
      case LZMA_BUF_ERROR:  // no progress with so little
        return done;
      case LZMA_MEMLIMIT_ERROR:
        return error(absl::StatusCode::kResourceExhausted,
                     concat("it needs more than the ", memory_.count,
                            " bytes of memory allowed (raise archive::limits if it is trusted)"));
      case LZMA_MEM_ERROR:
        return error(absl::StatusCode::kResourceExhausted, "out of memory");
      default:
        return error(absl::StatusCode::kDataLoss, why(code));
    }
  }

 private:
  struct end_stream {
    void operator()(lzma_stream* stream) const {
      ::lzma_end(stream);
      delete stream;
    }
  };

  static std::string_view why(lzma_ret code) {
    if (code == LZMA_FORMAT_ERROR) return "this is no xz stream";
    return code == LZMA_OPTIONS_ERROR ? "it uses options that are not supported" : "invalid data";
  }

  std::unique_ptr<lzma_stream, end_stream> stream_;
  bytes memory_;
};

/// An xz stream.
using xz_reader = decoding_reader<xz_decoder>;

static_assert(decoder<xz_decoder>);

}  // namespace mortise::archive
