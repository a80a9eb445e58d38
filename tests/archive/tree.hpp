// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A directory tree as text, a line for each inode: what unpacked trees are compared by.

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <map>
#include <mortise/base/text.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// Paths relative to the tree's root ("." is the root itself), each with what describes it.
class tree {
 public:
  explicit tree(const std::string& root) : root_(root) { visit("."); }

  /// "file 0644 0:0 'content'", "dir 0755 0:0", "link 0777 0:0 -> target", "char 0600 0:0 5:1", "whiteout"...;
  /// extended attributes follow as " name=value". Empty if there is nothing.
  [[nodiscard]] std::string operator[](const std::string& path) const {
    const auto found = lines_.find(path);
    return found == lines_.end() ? std::string() : found->second;
  }

  /// All paths but the root.
  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [path, line] : lines_)
      if (path != ".") all.push_back(path);
    return all;
  }

  [[nodiscard]] const std::map<std::string, std::string>& lines() const { return lines_; }

  /// The file's status, as lstat(2) gave it before the file was read; all zeros if there is nothing.
  [[nodiscard]] struct stat about(const std::string& path) const {
    const auto found = status_.find(path);
    struct stat nothing{};
    return found == status_.end() ? nothing : found->second;
  }

 private:
  void visit(const std::string& path) {
    struct stat here{};
    if (::lstat((root_ + '/' + path).c_str(), &here) != 0) return;
    status_[path] = here;
    lines_[path] = describe(path, here);
    if (!S_ISDIR(here.st_mode)) return;
    DIR* const stream = ::opendir((root_ + '/' + path).c_str());
    std::vector<std::string> names;
    while (const dirent* const each = stream != nullptr ? ::readdir(stream) : nullptr) names.emplace_back(each->d_name);
    if (stream != nullptr) ::closedir(stream);
    for (const std::string& name : names)
      if (name != "." && name != "..") visit(path == "." ? name : path + '/' + name);
  }

  [[nodiscard]] std::string describe(const std::string& path, const struct stat& here) const {
    if (S_ISCHR(here.st_mode) && here.st_rdev == 0) return "whiteout";
    std::string line = kind(path, here);
    const auto fd = mortise::sys::open(root_ + '/' + path, O_PATH | O_NOFOLLOW);
    if (!fd.ok()) return line;
    auto names = mortise::sys::list_xattrs(fd->get()).value_or(std::vector<std::string>{});
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
      mortise::append(line, ' ', name, '=', mortise::printable(mortise::sys::get_xattr(fd->get(), name).value_or("?")));
    return line;
  }

  [[nodiscard]] std::string kind(const std::string& path, const struct stat& here) const {
    char mode[16];
    std::snprintf(mode, sizeof mode, "%04o", here.st_mode & 07777U);
    const std::string rest = mortise::concat(mode, ' ', here.st_uid, ':', here.st_gid);
    switch (here.st_mode & S_IFMT) {
      case S_IFDIR:
        return "dir " + rest;
      case S_IFLNK:
        return "link " + rest + " -> " + target(path);
      case S_IFIFO:
        return "fifo " + rest;
      case S_IFCHR:
        return mortise::concat("char ", rest, ' ', major(here.st_rdev), ':', minor(here.st_rdev));
      case S_IFBLK:
        return mortise::concat("block ", rest, ' ', major(here.st_rdev), ':', minor(here.st_rdev));
      case S_IFREG:
        break;
      default:
        return "other " + rest;
    }
    const std::string data = mortise::sys::read_file(root_ + '/' + path, 1 << 30).value_or("");
    if (data.size() > 64)
      return mortise::concat("file ", rest, ' ', data.size(), " bytes ", std::hash<std::string>{}(data));
    return "file " + rest + " '" + mortise::printable(data) + '\'';
  }

  [[nodiscard]] std::string target(const std::string& path) const {
    char text[PATH_MAX];
    const ssize_t length = ::readlink((root_ + '/' + path).c_str(), text, sizeof text);
    return length < 0 ? "?" : mortise::printable({text, static_cast<std::size_t>(length)}, PATH_MAX);
  }

  std::string root_;
  std::map<std::string, struct stat> status_;
  std::map<std::string, std::string> lines_;
};

}  // namespace support
