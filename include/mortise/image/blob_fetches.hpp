// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Fetches several blobs of a remote origin into a store, in order, a few connections at once: large blobs in pieces.
/// Needs: libcrypto.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/image/blob_spool.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/descriptor.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace mortise::image {

/// Who wants blobs, and hears of them.
struct fetch_plan {
  unsigned connections = 4;
  std::uint64_t piece = std::uint64_t{16} << 20;  ///< larger blobs come in pieces of this size, if they can
  /// Whether a blob is still wanted when its turn comes; null: always.
  std::function<bool(std::size_t which)> wanted = {};
  /// How much of a blob is there, now and then; from any of the threads, never from two at once.
  std::function<void(std::size_t which, std::uint64_t have)> hear = {};
};

/// Effects: runs threads from `start` until it is destroyed, which waits for them. What was not finished stays in the
/// store as a partial blob.
class blob_fetches {
 public:
  /// All must outlive it.
  blob_fetches(const store_directory& store, origin& from, const std::vector<model::descriptor>& blobs, fetch_plan plan)
      : from_(from), plan_(std::move(plan)) {
    for (const model::descriptor& each : blobs) spools_.push_back(std::make_unique<blob_spool>(store, each));
    opened_.resize(spools_.size(), false);
    heard_.resize(spools_.size(), 0);
  }
  blob_fetches(const blob_fetches&) = delete;
  blob_fetches& operator=(const blob_fetches&) = delete;
  ~blob_fetches() { stop(); }

  /// Fewer threads than asked for do it too; FAILED_PRECONDITION where there can be none at all.
  absl::Status start() {
    const std::size_t most = plan_.connections == 0 ? 1 : plan_.connections;
    while (threads_.size() < most) {
      try {
        threads_.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        break;
      }
    }
    return threads_.empty() ? error(absl::StatusCode::kFailedPrecondition, "fetch blobs: no thread can be started")
                            : absl::OkStatus();
  }

  [[nodiscard]] blob_spool& at(std::size_t which) { return *spools_[which]; }

  /// Whether a blob that was not what its digest says may be so if it is fetched again.
  [[nodiscard]] bool worth_another_try() const { return another_try_; }

  /// Ends all fetching soon.
  void stop() {
    {
      const std::lock_guard guard(mutex_);
      stop_ = true;
      news_.notify_all();
    }
    for (const auto& each : spools_) each->fail(error(absl::StatusCode::kCancelled, "fetch blob: cancelled"));
    threads_.clear();
  }

 private:
  /// Writes what comes of one piece, a few hundred kilobytes at a time: transports hand out a few.
  class piece_sink final : public fetch::sink {
   public:
    piece_sink(blob_fetches& of, std::size_t which, const blob_spool::piece& piece)
        : of_(of), which_(which), piece_(piece) {
      gathered_.reserve(most);
    }
    absl::Status begin(const fetch::response& /*about*/) override { return absl::OkStatus(); }
    absl::Status write(std::span<const std::byte> bytes) override {
      while (!bytes.empty()) {
        const auto next = bytes.first(std::min(bytes.size(), most - gathered_.size()));
        gathered_.insert(gathered_.end(), next.begin(), next.end());
        bytes = bytes.subspan(next.size());
        if (gathered_.size() == most) MORTISE_RETURN_IF_ERROR(flush());
      }
      return absl::OkStatus();
    }
    /// Also after a failure: what came is kept.
    absl::Status flush() {
      if (gathered_.empty()) return absl::OkStatus();
      const absl::Status status = of_.at(which_).write(piece_, gathered_);
      gathered_.clear();
      of_.tell(which_);
      return status;
    }

   private:
    static constexpr std::size_t most = std::size_t{256} << 10;

    blob_fetches& of_;
    std::size_t which_;
    const blob_spool::piece& piece_;
    std::vector<std::byte> gathered_;
  };

  /// What a thread does next: open a blob, or fetch a piece of one that is open.
  struct task {
    std::size_t which = 0;
    std::optional<blob_spool::piece> piece;
  };

  void work() {
    while (const auto next = take()) {
      if (next->piece) {
        fetch(next->which, *next->piece);
      } else {
        open(next->which);
      }
      const std::lock_guard guard(mutex_);
      --busy_;
      news_.notify_all();
    }
  }

  /// In order; waits while what others do may give more. Nothing once all is done.
  std::optional<task> take() {
    std::unique_lock guard(mutex_);
    for (;; news_.wait(guard)) {
      if (stop_) return std::nullopt;
      for (std::size_t which = 0; which < spools_.size(); ++which) {
        task found{which, std::nullopt};
        if (opened_[which]) {
          found.piece = at(which).take_piece();
          if (!found.piece) continue;
        }
        opened_[which] = true;
        ++busy_;
        return found;
      }
      if (busy_ == 0) return std::nullopt;
    }
  }

  void open(std::size_t which) {
    const auto unwanted = [&] { return stop_ || (plan_.wanted && !plan_.wanted(which)); };
    if (unwanted()) {
      at(which).fail(error(absl::StatusCode::kCancelled, "fetch blob: it is not wanted any more"));
      return;
    }
    settle(which, at(which).open(plan_.piece, unwanted));
    tell(which);
  }

  void fetch(std::size_t which, const blob_spool::piece& piece) {
    piece_sink sink(*this, which, piece);
    absl::Status status = from_.fetch_blob(at(which).blob(), {piece.at, piece.last}, sink, &stop_);
    status = first_error(std::move(status), sink.flush());
    settle(which, status);
    at(which).end_piece(piece, status);
    tell(which);
  }

  /// A part that is not to be had is no failure yet. Bytes that were here before are suspected before the origin is.
  void settle(std::size_t which, const absl::Status& status) {
    if (status.ok() || absl::IsUnimplemented(status)) return;
    if (absl::IsDataLoss(status) && (at(which).resumed() || from_.distrust(at(which).blob()))) another_try_ = true;
    at(which).fail(status);
  }

  void tell(std::size_t which) {
    if (!plan_.hear) return;
    const std::lock_guard guard(hearing_);
    const std::uint64_t have = at(which).have();
    const bool news = have != heard_[which] && (have == at(which).blob().size || have - heard_[which] >= news_bytes);
    if (!news) return;
    heard_[which] = have;
    plan_.hear(which, have);
  }

  static constexpr std::uint64_t news_bytes = std::uint64_t{128} << 10;

  origin& from_;
  fetch_plan plan_;
  std::vector<std::unique_ptr<blob_spool>> spools_;
  std::mutex mutex_;  ///< of opened_ and busy_
  std::condition_variable news_;
  std::vector<bool> opened_;
  std::size_t busy_ = 0;
  std::mutex hearing_;
  std::vector<std::uint64_t> heard_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> another_try_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace mortise::image
