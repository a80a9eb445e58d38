// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A tar that lies in a file, for a reader that wants its headers and not its data.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>

namespace mortise::erofs {

/// Reads a file from its beginning, whatever its offset is, and as if it ended with a whole block of 512 bytes.
class tar_file final : public reader {
 public:
  /// `fd` stays the caller's.
  static absl::StatusOr<std::uint64_t> size_of(int fd) {
    struct stat about{};
    if (::fstat(fd, &about) != 0) return errno_error(errno, "stat layer tar");
    return static_cast<std::uint64_t>(about.st_size);
  }
  tar_file(int fd, std::uint64_t size) : fd_(fd), size_(size), end_((size + 511) / 512 * 512) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), end_ - at_));
    if (wanted == 0) return std::size_t{0};
    ssize_t got = 0;
    while ((got = ::pread(fd_, into.data(), wanted, static_cast<off_t>(at_))) < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read layer tar");
    if (got == 0) {
      if (at_ < size_) return error(absl::StatusCode::kDataLoss, "read layer tar: it became shorter");
      std::fill_n(into.begin(), wanted, std::byte{0});
      got = static_cast<ssize_t>(wanted);
    }
    at_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }

  absl::StatusOr<std::uint64_t> skip(std::uint64_t most) override {
    const std::uint64_t passed = std::min(most, end_ - at_);
    at_ += passed;
    return passed;
  }

 private:
  int fd_;
  std::uint64_t size_;
  std::uint64_t end_;
  std::uint64_t at_ = 0;
};

}  // namespace mortise::erofs
