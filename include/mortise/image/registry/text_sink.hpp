// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where small answers go: a text of bounded size, whatever its sender claims.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <span>
#include <string>
#include <utility>

namespace mortise::image::distribution {

/// Fails with RESOURCE_EXHAUSTED past `most` bytes, or as soon as more are announced; takes no memory for bytes that
/// are only announced.
class text_sink final : public fetch::sink {
 public:
  explicit text_sink(std::size_t most) : most_(most) {}

  absl::Status begin(const fetch::response& about) override {
    text_.clear();
    return about.total && *about.total > most_ ? refuse() : absl::OkStatus();
  }
  absl::Status write(std::span<const std::byte> piece) override {
    if (piece.size() > most_ - text_.size()) return refuse();
    text_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  }

  [[nodiscard]] std::string take() { return std::exchange(text_, {}); }

 private:
  [[nodiscard]] absl::Status refuse() const {
    return error(absl::StatusCode::kResourceExhausted, concat("more than the ", most_, " bytes allowed"));
  }

  std::size_t most_;
  std::string text_;
};

}  // namespace mortise::image::distribution
