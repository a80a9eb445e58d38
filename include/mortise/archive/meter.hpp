// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a layer has used up of its limits and its time, and who hears of it.

#include <sys/statvfs.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/apply_request.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>

namespace mortise::archive {

/// Counts entries, inodes and bytes. `request` must outlive it.
class meter {
 public:
  explicit meter(const apply_request& request) : request_(request) {}

  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// One more entry of the tar, before anything is written for it.
  absl::Status count_entry(const entry& about) {
    ++entries_;
    return count_node(about);
  }

  /// Something to be made, from the tar or from a lower layer.
  absl::Status count_node(const entry& about) {
    MORTISE_RETURN_IF_ERROR(count_inode());
    const std::uint64_t most = request_.limits.unpacked.count;
    if (about.size > most - logical_bytes_)
      return beyond_limits(concat("files of more than the ", most, " bytes allowed"));
    logical_bytes_ += about.size;
    if (about.link_target.size() > request_.limits.link_target)
      return beyond_limits(concat("a link target longer than the ", request_.limits.link_target, " bytes allowed"));
    return breathe();
  }

  absl::Status count_inode() {
    if (++inodes_ <= request_.limits.entries) return absl::OkStatus();
    return beyond_limits(concat("more than the ", request_.limits.entries, " entries allowed"));
  }

  /// Bytes on their way into a file.
  absl::Status count_bytes(std::uint64_t count) {
    bytes_ += count;
    return breathe();
  }

  /// Whether to go on: not cancelled, in time, and with enough space left.
  absl::Status breathe() {
    if (request_.cancelled != nullptr && request_.cancelled->load(std::memory_order_relaxed))
      return error(absl::StatusCode::kCancelled, "cancelled");
    if (std::chrono::steady_clock::now() > request_.deadline)
      return error(absl::StatusCode::kDeadlineExceeded, "the time allowed for the layer is over");
    if (entries_ - reported_entries_ < entries_between_reports && bytes_ - reported_bytes_ < bytes_between_reports)
      return absl::OkStatus();
    report();
    return check_free_space();
  }

  /// Tells the caller how far it is.
  void report() {
    reported_entries_ = entries_;
    reported_bytes_ = bytes_;
    if (request_.progress) request_.progress(entries_, bytes_);
  }

 private:
  static constexpr std::uint64_t entries_between_reports = 256;
  static constexpr std::uint64_t bytes_between_reports = 4 << 20;

  [[nodiscard]] absl::Status check_free_space() const {
    if (request_.limits.free_space.count == 0) return absl::OkStatus();
    struct statvfs about{};
    if (::fstatvfs(request_.staging, &about) != 0) return errno_error(errno, "ask for free space");
    if (about.f_bavail >= request_.limits.free_space.count / about.f_frsize) return absl::OkStatus();
    return beyond_limits(concat("less than the ", request_.limits.free_space.count, " bytes to be left free are left"));
  }

  const apply_request& request_;
  std::uint64_t entries_ = 0;
  std::uint64_t inodes_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t logical_bytes_ = 0;
  std::uint64_t reported_entries_ = 0;
  std::uint64_t reported_bytes_ = 0;
};

/// Asks a meter before each read, so that skipping and draining can be cancelled too.
class metered_reader final : public reader {
 public:
  metered_reader(reader& source, meter& used) : source_(source), meter_(used) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    MORTISE_RETURN_IF_ERROR(meter_.breathe());
    return source_.read(into);
  }

 private:
  reader& source_;
  meter& meter_;
};

}  // namespace mortise::archive
