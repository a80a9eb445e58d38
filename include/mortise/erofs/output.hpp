// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A file that is written from its beginning to its end, with holes.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>

namespace mortise::erofs {

/// Positions only grow. What is passed over is a hole, and reads as zeros. Failures are kept for `finish`.
class output {
 public:
  explicit output(int fd) : fd_(fd) {}

  [[nodiscard]] std::uint64_t position() const { return begun_ + pending_.size(); }

  void append(std::string_view bytes) {
    pending_.append(bytes);
    if (pending_.size() >= most_pending) flush();
  }
  /// To a position that is not behind.
  void pass_to(std::uint64_t position) {
    const std::uint64_t gap = position - this->position();
    if (gap <= most_zeros) return append(std::string(static_cast<std::size_t>(gap), '\0'));
    flush();
    begun_ = position;
  }
  /// All that was written, and a length of `size` bytes.
  absl::Status finish(std::uint64_t size) {
    flush();
    if (status_.ok() && ::ftruncate(fd_, static_cast<off_t>(size)) != 0) status_ = errno_error(errno, "write index");
    return status_;
  }

 private:
  static constexpr std::size_t most_pending = std::size_t{256} << 10;
  static constexpr std::uint64_t most_zeros = 4096;

  void flush() {
    std::string_view rest = pending_;
    while (status_.ok() && !rest.empty()) {
      const ssize_t put = ::pwrite(fd_, rest.data(), rest.size(), static_cast<off_t>(begun_));
      if (put < 0 && errno != EINTR) status_ = errno_error(errno, "write index", errno == ENOSPC ? "free space" : "");
      if (put <= 0) continue;
      rest.remove_prefix(static_cast<std::size_t>(put));
      begun_ += static_cast<std::uint64_t>(put);
    }
    if (!status_.ok()) begun_ += rest.size();
    pending_.clear();
  }

  int fd_;
  std::uint64_t begun_ = 0;
  std::string pending_;
  absl::Status status_;
};

}  // namespace mortise::erofs
