// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A password or token: it can be used and compared, and never printed.

#include <string.h>

#include <cstddef>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// Holds a text that must not be seen. It converts to nothing that messages are made of; `reveal` is the one way
/// to it. Its memory is overwritten when it goes.
class secret {
 public:
  secret() = default;
  explicit secret(std::string_view text) : text_(text.begin(), text.end()) {}
  /// Takes the text over and overwrites where it was.
  explicit secret(std::string&& text) : text_(text.begin(), text.end()) { erase(text.data(), text.size()); }
  secret(const secret&) = default;
  secret(secret&& other) noexcept : text_(std::exchange(other.text_, {})) {}
  secret& operator=(secret other) noexcept {
    text_.swap(other.text_);
    return *this;
  }
  ~secret() { erase(text_.data(), text_.size()); }

  /// For the request that needs it, and for nothing that is written down.
  [[nodiscard]] std::string_view reveal() const { return {text_.data(), text_.size()}; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  bool operator==(const secret&) const = default;

 private:
  /// A moved-from text has no memory. By its address, not its length: that is what the function may not be given.
  static void erase(char* text, std::size_t size) {
    if (text != nullptr) ::explicit_bzero(text, size);
  }

  std::vector<char> text_;  // not std::string, which keeps short texts inside and leaves them behind when it moves
};

}  // namespace mortise::image::distribution
