// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Directories for a test case that take themselves away: a plain one, and a small tmpfs for a full disk.

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mortise/sys/file.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// What a directory holds; nothing where there is none.
inline std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> out;
  (void)mortise::sys::for_each_entry(AT_FDCWD, path, [&](std::string_view name, unsigned char) {
    out.emplace_back(name);
    return absl::OkStatus();
  });
  return out;
}

/// A new directory under $TMPDIR or /tmp that anybody may enter, removed with all it holds at the end.
class temporary_directory {
 public:
  temporary_directory() {
    const char* const parent = std::getenv("TMPDIR");
    path_ = std::string(parent != nullptr ? parent : "/tmp") + "/mortise-test-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr || ::chmod(path_.c_str(), 0755) != 0)
      throw std::runtime_error("make directory '" + path_ + "': " + std::strerror(errno));
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() { mortise::sys::remove_tree(path_).IgnoreError(); }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The path of something inside: `directory / "name"`.
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

/// A tmpfs of `bytes` (whole pages) and `inodes`, unmounted at the end. Needs root, or a user and mount namespace.
class temporary_tmpfs {
 public:
  explicit temporary_tmpfs(std::uint64_t bytes, std::uint64_t inodes = 0) {
    const std::string options = "mode=0755,size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes);
    if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
      throw std::runtime_error("mount tmpfs at '" + directory_.path() + "': " + std::strerror(errno));
  }
  temporary_tmpfs(const temporary_tmpfs&) = delete;
  temporary_tmpfs& operator=(const temporary_tmpfs&) = delete;
  ~temporary_tmpfs() { ::umount2(directory_.path().c_str(), MNT_DETACH); }

  [[nodiscard]] const std::string& path() const { return directory_.path(); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return directory_ / name; }

 private:
  temporary_directory directory_;
};

}  // namespace support
