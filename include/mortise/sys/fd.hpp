// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Owned file descriptors, and reading and writing through them.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::sys {

/// Owns a file descriptor; moves, never copies; closes silently. -1 is none.
class unique_fd {
 public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~unique_fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  /// Closes and reports what close(2) says (a late ENOSPC or EIO of a written file).
  absl::Status close() {
    if (fd_ >= 0 && ::close(std::exchange(fd_, -1)) != 0) return errno_error(errno, "close");
    return absl::OkStatus();
  }

 private:
  int fd_ = -1;
};

/// openat(2) with O_CLOEXEC, repeated on EINTR. `path` is a host path, or one relative to `directory`.
/// For anything inside a container or a layer use sys/path.hpp instead.
inline absl::StatusOr<unique_fd> open_at(int directory, const std::string& path, int flags, mode_t mode = 0) {
  for (;;) {
    const int fd = ::openat(directory, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return unique_fd(fd);
    if (errno != EINTR) return errno_error(errno, concat("open '", path, '\''));
  }
}
inline absl::StatusOr<unique_fd> open(const std::string& path, int flags, mode_t mode = 0) {
  return open_at(AT_FDCWD, path, flags, mode);
}

/// A second descriptor of the same open file, close-on-exec.
inline absl::StatusOr<unique_fd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return errno_error(errno, "duplicate file descriptor");
  return unique_fd(copy);
}

/// read(2) repeated on EINTR; 0 is the end.
inline absl::StatusOr<std::size_t> read_some(int fd, std::span<std::byte> into) {
  for (;;) {
    const ssize_t got = ::read(fd, into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return errno_error(errno, "read");
  }
}

/// Writes all of it, or says why not; part may have been written then.
inline absl::Status write_all(int fd, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t put = ::write(fd, from.data(), from.size());
    if (put >= 0) {
      from = from.subspan(static_cast<std::size_t>(put));
    } else if (errno != EINTR) {
      return errno_error(errno, "write");
    }
  }
  return absl::OkStatus();
}
inline absl::Status write_all(int fd, std::string_view text) { return write_all(fd, std::as_bytes(std::span(text))); }

/// A pipe, both ends close-on-exec.
struct pipe_ends {
  unique_fd read;
  unique_fd write;
};
inline absl::StatusOr<pipe_ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make pipe");
  return pipe_ends{unique_fd(ends[0]), unique_fd(ends[1])};
}

}  // namespace mortise::sys
