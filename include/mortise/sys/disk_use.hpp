// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How much of a disk lies in directories, counted as du(1) does: by blocks, and each inode once.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::sys {

struct disk_use {
  bytes used;
  std::uint64_t inodes = 0;
};

/// Adds up trees in which somebody may be at work, and have made what they like: links are not followed, depth costs
/// some thirty descriptors, and what vanishes meanwhile is not counted.
class use_counter {
 public:
  /// The directory itself counts too. Fails if it cannot be read, or anything below it; what was counted stays.
  absl::Status add(const std::string& directory) {
    auto root = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!root.ok()) return root.status();
    struct stat about{};
    if (::fstat(root->get(), &about) != 0) return errno_error(errno, concat("stat '", directory, '\''));
    count(about);
    const absl::Status status = walk(*std::move(root));
    return status.ok() ? status : annotate(status, concat("count what lies in '", directory, '\''));
  }

  [[nodiscard]] const disk_use& sum() const { return sum_; }

 private:
  /// A directory on the way down, and those in it that are still to be counted.
  struct level {
    unique_fd fd;  ///< none while one is far below
    std::string name;
    dev_t device = 0;
    ino_t inode = 0;
    std::vector<std::string> pending = {};
  };

  static constexpr std::size_t most_open = 32;
  static constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

  absl::Status walk(unique_fd root) {
    std::vector<level> levels;
    MORTISE_RETURN_IF_ERROR(enter(std::move(root), {}, levels));
    while (!levels.empty()) {
      level& here = levels.back();
      if (here.pending.empty()) {
        leave(levels);
        continue;
      }
      std::string name = std::move(here.pending.back());
      here.pending.pop_back();
      unique_fd opened(::openat(here.fd.get(), name.c_str(), flags));
      const absl::Status status = opened ? enter(std::move(opened), std::move(name), levels)
                                         : errno_error(errno, concat("open '", printable(name), '\''));
      if (!status.ok() && !is_gone(status)) return status;
    }
    return absl::OkStatus();
  }

  /// Counts what lies in a directory.
  absl::Status enter(unique_fd fd, std::string name, std::vector<level>& levels) {
    struct stat about{};
    if (::fstat(fd.get(), &about) != 0) return errno_error(errno, concat("stat '", printable(name), '\''));
    level here{std::move(fd), std::move(name), about.st_dev, about.st_ino};
    MORTISE_RETURN_IF_ERROR(for_each_entry(here.fd.get(), ".", [&](std::string_view entry, unsigned char) {
      std::string text(entry);
      if (::fstatat(here.fd.get(), text.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? absl::OkStatus() : errno_error(errno, concat("stat '", printable(text), '\''));
      count(about);
      if (S_ISDIR(about.st_mode)) here.pending.push_back(std::move(text));
      return absl::OkStatus();
    }));
    levels.push_back(std::move(here));
    if (levels.size() > most_open + 1) levels[levels.size() - 1 - most_open].fd.reset();
    return absl::OkStatus();
  }

  /// Goes up one level, which is opened again where it has been closed: by the way up, or if somebody has moved what
  /// was below, by the way down. What is no longer there itself is not counted.
  static void leave(std::vector<level>& levels) {
    const unique_fd left = std::move(levels.back().fd);
    levels.pop_back();
    if (levels.empty() || levels.back().fd) return;
    level& here = levels.back();
    here.fd = unique_fd(::openat(left.get(), "..", flags));
    if (!is_at(here)) here.fd = reopen(levels);
    if (!is_at(here)) here.pending.clear();
  }

  static bool is_at(const level& where) {
    struct stat about{};
    return where.fd && ::fstat(where.fd.get(), &about) == 0 && about.st_dev == where.device &&
           about.st_ino == where.inode;
  }

  /// The last level, by the names that led to it.
  static unique_fd reopen(const std::vector<level>& levels) {
    unique_fd at;
    for (std::size_t next = 1; next < levels.size(); ++next)
      at = unique_fd(::openat(next == 1 ? levels.front().fd.get() : at.get(), levels[next].name.c_str(), flags));
    return at;
  }

  static bool is_gone(const absl::Status& status) {
    const int why = errno_of(status);
    return why == ENOENT || why == ENOTDIR || why == ELOOP;
  }

  void count(const struct stat& about) {
    if (!S_ISDIR(about.st_mode) && about.st_nlink > 1 && !linked_.emplace(about.st_dev, about.st_ino).second) return;
    sum_.used.count += static_cast<std::uint64_t>(about.st_blocks) * 512;
    ++sum_.inodes;
  }

  disk_use sum_;
  std::set<std::pair<dev_t, ino_t>> linked_;
};

/// What a whole file system holds, by a descriptor of any directory of it.
inline absl::StatusOr<disk_use> use_of_file_system(int directory) {
  struct statvfs about{};
  if (::fstatvfs(directory, &about) != 0) return errno_error(errno, "stat file system");
  return disk_use{{(about.f_blocks - about.f_bfree) * about.f_frsize}, about.f_files - about.f_ffree};
}

}  // namespace mortise::sys
