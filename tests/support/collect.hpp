// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A sink that keeps all, and notes how it was used.

#include <functional>
#include <mortise/fetch/fetcher.hpp>
#include <string>

namespace support {

class collect final : public mortise::fetch::sink {
 public:
  absl::Status begin(const mortise::fetch::response& told) override {
    ++begun;
    about = told;
    return answer;
  }
  absl::Status write(std::span<const std::byte> piece) override {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    if (on_write) return on_write(text);
    return absl::OkStatus();
  }

  int begun = 0;
  mortise::fetch::response about;
  std::string text;
  absl::Status answer;                                       ///< of begin()
  std::function<absl::Status(const std::string&)> on_write;  ///< hears all that came until now
};

}  // namespace support
