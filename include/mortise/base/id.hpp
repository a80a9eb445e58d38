// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A container's identifier: chosen by the caller within a narrow grammar, or random.

#include <sys/random.h>

#include <compare>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>

namespace mortise {

/// Letters, digits, '_', '.', '-', beginning with a letter or digit, at most 64: safe as a file name and as
/// a cgroup's by construction.
class container_id {
 public:
  static absl::StatusOr<container_id> parse(std::string_view text) {
    const auto letter = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    bool good = !text.empty() && text.size() <= 64 && letter(text.front());
    for (const char each : text) good = good && (letter(each) || each == '_' || each == '.' || each == '-');
    if (good) return container_id(std::string(text));
    return error(absl::StatusCode::kInvalidArgument,
                 concat("parse container id '", printable(text, 80),
                        "': it takes 1 to 64 letters, digits, '_', '.' and '-', and begins with a letter or digit"));
  }

  /// Twelve random hexadecimal digits from getrandom(2).
  static container_id random() {
    unsigned char raw[6] = {};
    while (::getrandom(raw, sizeof raw, 0) != static_cast<ssize_t>(sizeof raw)) {
    }
    std::string text;
    for (const unsigned char byte : raw) append(text, "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]);
    return container_id(std::move(text));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const container_id&) const = default;

 private:
  explicit container_id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace mortise
