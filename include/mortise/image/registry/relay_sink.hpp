// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A part of a blob on its way to whoever wants it, though several servers may have to give it.

#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <span>

namespace mortise::image::distribution {

/// Passes the bytes from `first` up to `last` on: `begin` once, each byte once, and never one behind `last`. It knows
/// where the next server has to go on, and whose fault a failure was.
class relay_sink final : public fetch::sink {
 public:
  relay_sink(fetch::sink& into, std::uint64_t first, std::uint64_t last) : into_(into), at_(first), last_(last) {}

  absl::Status begin(const fetch::response& about) override {
    if (begun_) return absl::OkStatus();
    begun_ = true;
    fetch::response told = about;
    told.offset = at_;
    return note(into_.begin(told));
  }
  absl::Status write(std::span<const std::byte> piece) override {
    if (piece.size() > last_ - at_)
      return error(absl::StatusCode::kDataLoss, concat("more than the ", last_, " bytes expected"));
    at_ += piece.size();
    return note(into_.write(piece));
  }

  /// The next byte that is wanted.
  [[nodiscard]] std::uint64_t at() const { return at_; }
  [[nodiscard]] bool is_begun() const { return begun_; }
  [[nodiscard]] bool is_complete() const { return begun_ && at_ == last_; }
  /// Whether who gets the bytes has failed, so that no other server can help.
  [[nodiscard]] bool is_refused() const { return refused_; }

 private:
  absl::Status note(absl::Status status) {
    refused_ = !status.ok();
    return status;
  }

  fetch::sink& into_;
  std::uint64_t at_;
  std::uint64_t last_;
  bool begun_ = false;
  bool refused_ = false;
};

}  // namespace mortise::image::distribution
