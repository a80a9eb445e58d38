// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A lock between processes and threads that a killed holder gives back: flock(2) on a file made for it.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <string>
#include <utility>

namespace mortise::image {

/// Tries to lock an open file for one holder; false where another has it.
inline absl::StatusOr<bool> try_lock(int fd) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return errno_error(errno, "lock file");
  }
  return true;
}

/// Whether `fd` is still what `name` in `directory` is: a holder may have removed it before it let go.
inline bool is_still(int fd, int directory, const std::string& name) {
  struct stat mine{};
  struct stat there{};
  return ::fstat(fd, &mine) == 0 && ::fstatat(directory, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/// Held until it is destroyed, which removes the file.
class file_lock {
 public:
  file_lock(file_lock&&) = default;
  file_lock& operator=(file_lock&&) = delete;
  ~file_lock() {
    if (file_) ::unlinkat(directory_, name_.c_str(), 0);  // before the lock goes, so that nobody holds a lost file
  }

  /// The lock `name` in `directory` (which must outlive it), or nothing where another holds it.
  static absl::StatusOr<std::optional<file_lock>> try_acquire(int directory, const std::string& name) {
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(sys::unique_fd file, sys::open_at(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
      MORTISE_ASSIGN_OR_RETURN(const bool locked, try_lock(file.get()));
      if (!locked) return std::optional<file_lock>{};
      if (is_still(file.get(), directory, name))
        return std::optional<file_lock>(file_lock(directory, name, std::move(file)));
    }
  }

  /// Waits for it, asking a few hundred times a second: flock(2) itself could not be given up.
  /// Fails with CANCELLED where `stop()` turns true.
  template <class Stop>
  static absl::StatusOr<file_lock> acquire(int directory, const std::string& name, Stop stop) {
    for (long pause = 500'000;; pause = pause < 8'000'000 ? pause * 2 : pause) {
      MORTISE_ASSIGN_OR_RETURN(auto lock, try_acquire(directory, name));
      if (lock) return *std::move(lock);
      if (stop()) return error(absl::StatusCode::kCancelled, concat("wait for lock '", name, "': cancelled"));
      const timespec wait{0, pause};
      ::nanosleep(&wait, nullptr);
    }
  }

 private:
  file_lock(int directory, std::string name, sys::unique_fd file)
      : directory_(directory), name_(std::move(name)), file_(std::move(file)) {}

  int directory_;
  std::string name_;
  sys::unique_fd file_;
};

}  // namespace mortise::image
