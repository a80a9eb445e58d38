// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A stream of bytes that is read once: the joint between transfer, verification, decompression and tar.

#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mortise {

/// Virtual, because which stages a blob needs (gzip, zstd, none) is known only from its first bytes; a call
/// moves hundreds of kilobytes, so its cost does not count.
class reader {
 public:
  reader() = default;
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  virtual ~reader() = default;

  /// Fills at most `into`, at least one byte unless the stream ends; 0 is the end, and stays the end.
  virtual absl::StatusOr<std::size_t> read(std::span<std::byte> into) = 0;

  /// Passes over at most so many bytes without reading them, and says how many: 0 where that cannot be.
  virtual absl::StatusOr<std::uint64_t> skip(std::uint64_t /*most*/) { return 0; }
};

/// Reads what is left of a stream, for what its end says. Fails as the stream does.
inline absl::Status drain(reader& from) {
  std::array<std::byte, std::size_t{64} << 10> ignored;
  for (;;) {
    const auto got = from.read(ignored);
    if (!got.ok()) return got.status();
    if (*got == 0) return absl::OkStatus();
  }
}

}  // namespace mortise
