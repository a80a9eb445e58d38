// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Readers over memory for tests: in pieces of any size, and with a failure at the end.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string>
#include <utility>

namespace support {

/// Hands out a text, at most `piece` bytes a call, and then ends or fails.
class memory_reader final : public mortise::reader {
 public:
  explicit memory_reader(std::string text, std::size_t piece = std::numeric_limits<std::size_t>::max(),
                         absl::Status last = absl::OkStatus())
      : text_(std::move(text)), piece_(piece), last_(std::move(last)) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t size = std::min({into.size(), piece_, text_.size() - at_});
    if (size == 0 && !last_.ok()) return last_;
    std::memcpy(into.data(), text_.data() + at_, size);
    at_ += size;
    return size;
  }

  /// How many bytes have been taken.
  [[nodiscard]] std::size_t taken() const { return at_; }

 private:
  std::string text_;
  std::size_t piece_;
  std::size_t at_ = 0;
  absl::Status last_;
};

/// The same byte for ever.
class endless_reader final : public mortise::reader {
 public:
  explicit endless_reader(char byte) : byte_(byte) {}
  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    std::memset(into.data(), byte_, into.size());
    taken_ += into.size();
    return into.size();
  }
  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  char byte_;
  std::size_t taken_ = 0;
};

/// All that a reader gives, `piece` bytes a call.
inline absl::StatusOr<std::string> read_whole(mortise::reader& source, std::size_t piece = 64 * 1024) {
  std::string all;
  std::string buffer(piece, '\0');
  for (;;) {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source.read(std::as_writable_bytes(std::span(buffer))));
    if (got == 0) return all;
    all.append(buffer, 0, got);
  }
}

}  // namespace support
