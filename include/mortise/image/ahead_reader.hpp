// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A stage that lets those before it run in a thread of their own, a few blocks ahead of who reads.

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

namespace mortise::image {

/// Effects: reads `from` (which must outlive it) in another thread, from its first read on, at most `blocks` ahead;
/// in the caller's own where no thread can be started. What `from` ends with comes after all that it gave.
class ahead_reader final : public reader {
 public:
  explicit ahead_reader(reader& from) : from_(from) {}
  ~ahead_reader() override {
    const std::lock_guard guard(mutex_);
    unwanted_ = true;
    changed_.notify_all();
  }

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    if (!started_) start();
    if (!thread_.joinable()) return from_.read(into);
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return filled_ > taken_ || outcome_; });
    if (filled_ == taken_) return outcome_->ok() ? absl::StatusOr<std::size_t>(std::size_t{0}) : *outcome_;
    block& front = ring_[taken_ % blocks];
    guard.unlock();
    const std::size_t got = std::min(into.size(), front.size - at_);
    std::copy_n(front.bytes.begin() + static_cast<std::ptrdiff_t>(at_), got, into.begin());
    at_ += got;
    if (at_ < front.size) return got;
    at_ = 0;
    guard.lock();
    ++taken_;
    changed_.notify_all();
    return got;
  }

 private:
  static constexpr std::size_t blocks = 8;
  static constexpr std::size_t block_bytes = std::size_t{128} << 10;

  struct block {
    std::vector<std::byte> bytes;
    std::size_t size = 0;
  };

  void start() {
    started_ = true;
    try {
      thread_ = std::jthread([this] { run(); });
    } catch (const std::system_error&) {
      return;  // then there is nothing ahead
    }
  }

  void run() {
    for (;;) {
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [this] { return filled_ - taken_ < blocks || unwanted_; });
      if (unwanted_) return;
      block& next = ring_[filled_ % blocks];
      guard.unlock();
      next.bytes.resize(block_bytes);
      const auto got = fill(next);
      guard.lock();
      if (next.size > 0) ++filled_;
      if (!got.ok() || next.size == 0) outcome_ = got;
      changed_.notify_all();
      if (outcome_) return;
    }
  }

  /// Whole blocks: a handover costs as much for a little as for a lot.
  absl::Status fill(block& into) {
    into.size = 0;
    while (into.size < into.bytes.size()) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from_.read(std::span(into.bytes).subspan(into.size)));
      if (got == 0) break;
      into.size += got;
    }
    return absl::OkStatus();
  }

  reader& from_;
  std::array<block, blocks> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t filled_ = 0;  ///< blocks that have been filled since the beginning
  std::size_t taken_ = 0;
  std::size_t at_ = 0;  ///< in the block that is being read
  std::optional<absl::Status> outcome_;
  bool started_ = false;
  bool unwanted_ = false;
  std::jthread thread_;  ///< last: it is joined before what it uses goes
};

}  // namespace mortise::image
