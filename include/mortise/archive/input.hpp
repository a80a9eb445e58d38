// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Compressed bytes on their way into a decoder: a buffer that is refilled only when it is empty.

#include <cstddef>
#include <memory>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <utility>

namespace mortise::archive {

/// What every decoder puts between its source and its library.
class input {
 public:
  explicit input(reader& source) : source_(source), buffer_(std::make_unique_for_overwrite<std::byte[]>(capacity)) {}

  /// Whether there are bytes to decode, reading more if all were taken; false is the end of the source.
  absl::StatusOr<bool> fill() {
    if (!rest_.empty()) return true;
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source_.read({buffer_.get(), capacity}));
    rest_ = {buffer_.get(), got};
    return got > 0;
  }

  [[nodiscard]] std::span<const std::byte> rest() const { return rest_; }
  void take(std::size_t count) { rest_ = rest_.subspan(count); }

 private:
  static constexpr std::size_t capacity = 256 * 1024;

  reader& source_;
  std::unique_ptr<std::byte[]> buffer_;
  std::span<const std::byte> rest_;
};

}  // namespace mortise::archive
