// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// zstd by its own library: frames one after another, skippable ones among them (zstd:chunked puts its table of
/// contents there).
/// Needs: libzstd.

#include <zstd.h>

#include <cstddef>
#include <memory>
#include <mortise/archive/limits.hpp>
#include <mortise/archive/stage.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>

namespace mortise::archive {

/// A frame that asks for a window of more than 2^`window_log` bytes is refused: it is memory that an image
/// would make us spend.
class zstd_decoder {
 public:
  static constexpr std::string_view format = "zstd";

  explicit zstd_decoder(int window_log = limits{}.zstd_window_log)
      : context_(::ZSTD_createDCtx()), window_log_(window_log) {}

  absl::Status begin() {
    if (context_ == nullptr) return error(absl::StatusCode::kResourceExhausted, "set up zstd: out of memory");
    ::ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    const std::size_t code = ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_log_);
    if (::ZSTD_isError(code) == 0) return absl::OkStatus();
    return error(absl::StatusCode::kInvalidArgument,
                 concat("set zstd's window limit to 2^", window_log_, ": ", ::ZSTD_getErrorName(code)));
  }

  absl::StatusOr<decoded> step(std::span<const std::byte> from, std::span<std::byte> into) {
    ZSTD_inBuffer source{from.data(), from.size(), 0};
    ZSTD_outBuffer target{into.data(), into.size(), 0};
    const std::size_t code = ::ZSTD_decompressStream(context_.get(), &target, &source);
    if (::ZSTD_isError(code) != 0) return error(absl::StatusCode::kDataLoss, ::ZSTD_getErrorName(code));
    return decoded{source.pos, target.pos, code == 0};
  }

 private:
  struct free_context {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };

  std::unique_ptr<ZSTD_DCtx, free_context> context_;
  int window_log_;
};

/// A zstd stream.
using zstd_reader = decoding_reader<zstd_decoder>;

static_assert(decoder<zstd_decoder>);

}  // namespace mortise::archive
