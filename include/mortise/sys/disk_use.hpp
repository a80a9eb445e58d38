// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How much of a disk lies in directories, counted as du(1) does: by blocks, and each inode once.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/path.hpp>
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
/// no descriptors, and what vanishes meanwhile is not counted.
class use_counter {
 public:
  /// The directory itself counts too. Fails if it cannot be read, or anything below it; what was counted stays.
  absl::Status add(const std::string& directory) {
    auto root = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!root.ok()) return root.status();
    struct stat about{};
    if (::fstat(root->get(), &about) != 0) return errno_error(errno, concat("stat '", directory, '\''));
    count(about);
    std::vector<std::string> pending = {{}};
    while (!pending.empty()) {
      const std::string next = std::move(pending.back());
      pending.pop_back();
      const absl::Status status = add_directory(root->get(), next, pending);
      if (!status.ok()) return annotate(status, concat("count what lies in '", directory, '\''));
    }
    return absl::OkStatus();
  }

  [[nodiscard]] const disk_use& sum() const { return sum_; }

 private:
  absl::Status add_directory(int root, const std::string& path, std::vector<std::string>& pending) {
    auto here = open_below(root, path);
    if (!here.ok()) return is_gone(here.status()) ? absl::OkStatus() : here.status();
    return for_each_entry(here->get(), ".", [&](std::string_view entry, unsigned char) {
      const std::string name(entry);
      struct stat about{};
      if (::fstatat(here->get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? absl::OkStatus() : errno_error(errno, concat("stat '", printable(name), '\''));
      count(about);
      if (S_ISDIR(about.st_mode)) pending.push_back(path.empty() ? name : concat(path, '/', name));
      return absl::OkStatus();
    });
  }

  /// In pieces: a path may be longer than the kernel takes at once.
  static absl::StatusOr<unique_fd> open_below(int root, std::string_view path) {
    constexpr int flags = O_RDONLY | O_DIRECTORY;
    MORTISE_ASSIGN_OR_RETURN(unique_fd at, open_in_root(root, ".", flags, 0, links::refused));
    while (!path.empty()) {
      std::size_t length = std::min<std::size_t>(path.size(), PATH_MAX - 1);
      if (length < path.size()) length = path.rfind('/', length);
      MORTISE_ASSIGN_OR_RETURN(at,
                               open_in_root(at.get(), std::string(path.substr(0, length)), flags, 0, links::refused));
      path.remove_prefix(std::min(path.size(), length + 1));
    }
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
