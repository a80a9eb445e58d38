// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// From a layer's blob to its tar: the decoder is chosen by the first bytes, and how much comes out is capped.
/// Needs: libisal or zlib, libzstd.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/gzip.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/archive/stage.hpp>
#include <mortise/archive/zstd.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// How a blob is packed. Media types do not decide: registries hold gzip labelled as plain tar.
enum class compression : std::uint8_t { none, gzip, zstd, bzip2, xz, lz4, lzip, compress };

constexpr std::string_view name_of(compression kind) {
  switch (kind) {
    case compression::none:
      return "none";
    case compression::gzip:
      return "gzip";
    case compression::zstd:
      return "zstd";
    case compression::bzip2:
      return "bzip2";
    case compression::xz:
      return "xz";
    case compression::lz4:
      return "lz4";
    case compression::lzip:
      return "lzip";
    case compression::compress:
      return "compress";
  }
  return "unknown";
}

/// The most bytes that detect_compression looks at.
inline constexpr std::size_t longest_magic = 10;

/// By the first bytes of a blob. Magic that could also begin a file name in a tar's first header is matched in its
/// longest form ("BZh9" alone might be a file).
constexpr compression detect_compression(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("\x1f\x8b"sv)) return compression::gzip;
  if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return compression::zstd;
  if (head.size() >= 4 && (head[0] & '\xf0') == '\x50' && head.substr(1, 3) == "\x2a\x4d\x18"sv)
    return compression::zstd;  // a skippable frame first
  if (head.starts_with("\xfd\x37zXZ\0"sv)) return compression::xz;
  if (head.starts_with("BZh") && head.size() >= 10 && head.substr(4, 6) == "1AY&SY") return compression::bzip2;
  if (head.starts_with("\x04\x22\x4d\x18"sv)) return compression::lz4;
  if (head.starts_with("LZIP\x01"sv)) return compression::lzip;
  if (head.starts_with("\x1f\x9d"sv)) return compression::compress;
  return compression::none;
}

namespace detail {

/// A source whose first bytes were read already to look at them.
class peeked_reader final : public reader {
 public:
  explicit peeked_reader(reader& source) : source_(source) {}

  /// The first bytes, fewer than longest_magic only if the source has no more.
  absl::StatusOr<std::string_view> peek() {
    while (size_ < head_.size()) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source_.read(std::span(head_).subspan(size_)));
      if (got == 0) break;
      size_ += got;
    }
    return std::string_view(reinterpret_cast<const char*>(head_.data()), size_);
  }

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    std::size_t got = std::min(into.size(), size_ - at_);
    if (got > 0) {
      std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(at_), got, into.begin());
      at_ += got;
    } else {
      MORTISE_ASSIGN_OR_RETURN(got, source_.read(into));
    }
    count_ += got;
    return got;
  }

  /// How many bytes have been handed out.
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  reader& source_;
  std::array<std::byte, longest_magic> head_{};
  std::size_t size_ = 0;
  std::size_t at_ = 0;
  std::uint64_t count_ = 0;
};

/// Passes on what the decoder (or, without one, the source itself) gives, and stops where a bomb shows.
class capped_reader final : public reader {
 public:
  capped_reader(std::unique_ptr<peeked_reader> packed, std::unique_ptr<reader> decoder, const limits& caps)
      : packed_(std::move(packed)), decoder_(std::move(decoder)), limits_(caps) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    reader& stream = decoder_ != nullptr ? *decoder_ : *packed_;
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, stream.read(into));
    count_ += got;
    if (count_ > limits_.unpacked.count)
      return exhausted(concat("more than the ", limits_.unpacked.count, " bytes allowed come out"));
    if (count_ > limits_.ratio_from.count && count_ / limits_.ratio > packed_->count())
      return exhausted(concat("more than ", limits_.ratio, " bytes come out for each that goes in"));
    return got;
  }

 private:
  static absl::Status exhausted(std::string_view cause) {
    return error(absl::StatusCode::kResourceExhausted,
                 concat("decompress layer: ", cause, " (raise archive::limits if it is trusted)"));
  }

  std::unique_ptr<peeked_reader> packed_;
  std::unique_ptr<reader> decoder_;
  limits limits_;
  std::uint64_t count_ = 0;
};

/// What of the limits concerns a decoder goes to it.
template <decoder Decoder>
std::unique_ptr<reader> make_decoder(reader& packed, const limits& caps) {
  if constexpr (std::constructible_from<Decoder, const limits&>) {
    return std::make_unique<decoding_reader<Decoder>>(packed, caps);
  } else {
    return std::make_unique<decoding_reader<Decoder>>(packed);
  }
}

}  // namespace detail

/// A reader of the uncompressed bytes of `source`, which must outlive it. A blob that nothing is known of is taken
/// for a plain tar. Read to its end, it has read `source` to its end. `Extra` are decoders of what layers are not
/// packed with but other archives are: archive/bzip2.hpp, archive/xz.hpp. Fails with: UNIMPLEMENTED for compressions
/// that images do not use; the source's own failure. Reading fails with DATA_LOSS for damaged data and
/// RESOURCE_EXHAUSTED for more than `caps` allow.
template <decoder... Extra>
absl::StatusOr<std::unique_ptr<reader>> decompress(reader& source, const limits& caps = {}) {
  auto packed = std::make_unique<detail::peeked_reader>(source);
  MORTISE_ASSIGN_OR_RETURN(const std::string_view head, packed->peek());
  const compression kind = detect_compression(head);
  std::unique_ptr<reader> decoder;
  if (kind == compression::gzip) {
    decoder = std::make_unique<gzip_reader>(*packed);
  } else if (kind == compression::zstd) {
    decoder = std::make_unique<zstd_reader>(*packed, caps.zstd_window_log);
  } else if (kind != compression::none) {
    ((Extra::format == name_of(kind) ? void(decoder = detail::make_decoder<Extra>(*packed, caps)) : void()), ...);
    if (decoder == nullptr)
      return error(
          absl::StatusCode::kUnimplemented,
          concat("decompress layer: it is packed with ", name_of(kind), " (layers are ",
                 join(std::array<std::string_view, sizeof...(Extra) + 2>{Extra::format..., "gzip", "zstd"}, ", "),
                 " or plain tar)"));
  }
  return std::make_unique<detail::capped_reader>(std::move(packed), std::move(decoder), caps);
}

}  // namespace mortise::archive
