// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether two directory trees are equal entry by entry: type, mode, owner, size, device, link count, time to
/// the nanosecond, link target, extended attributes, content.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <map>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A tree as one line for each entry, by its path; "." is the root. Overlayfs' own attributes are left out.
class tree_listing {
 public:
  explicit tree_listing(std::string root) : root_(std::move(root)) { visit("."); }

  [[nodiscard]] const std::map<std::string, std::string>& lines() const { return lines_; }
  [[nodiscard]] std::string operator[](const std::string& path) const {
    const auto found = lines_.find(path);
    return found == lines_.end() ? "missing" : found->second;
  }

 private:
  void visit(const std::string& path) {
    const std::string full = root_ + '/' + path;
    struct stat about{};
    if (::lstat(full.c_str(), &about) != 0) return;
    lines_[path] = describe(path, full, about);
    if (!S_ISDIR(about.st_mode)) return;
    std::vector<std::string> names;
    DIR* const stream = ::opendir(full.c_str());
    while (const dirent* const each = stream != nullptr ? ::readdir(stream) : nullptr) names.emplace_back(each->d_name);
    if (stream != nullptr) ::closedir(stream);
    for (const std::string& name : names)
      if (name != "." && name != "..") visit(path == "." ? name : path + '/' + name);
  }

  static std::string describe(const std::string& path, const std::string& full, const struct stat& about) {
    if (S_ISCHR(about.st_mode) && about.st_rdev == 0) return "whiteout";  // its time is that of the unpacking
    std::string line = mortise::concat(about.st_mode >> 12, " mode ", about.st_mode & 07777U, " owner ", about.st_uid,
                                       ':', about.st_gid);
    if (path != ".") mortise::append(line, " time ", about.st_mtim.tv_sec, '.', about.st_mtim.tv_nsec);
    // A directory's link count and size are the file system's affair.
    if (!S_ISDIR(about.st_mode)) mortise::append(line, " links ", about.st_nlink, " size ", about.st_size);
    if (S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode))
      mortise::append(line, " device ", major(about.st_rdev), ':', minor(about.st_rdev));
    if (S_ISLNK(about.st_mode)) {
      char target[PATH_MAX];
      const ssize_t length = ::readlink(full.c_str(), target, sizeof target);
      mortise::append(line, " -> ", std::string(target, length > 0 ? static_cast<std::size_t>(length) : 0));
    }
    if (S_ISREG(about.st_mode)) mortise::append(line, ' ', content(full));
    return line + attributes(full);
  }

  static std::string content(const std::string& full) {
    const auto file = mortise::sys::open(full, O_RDONLY | O_NOFOLLOW);
    if (!file.ok()) return "unreadable";
    mortise::digest::openssl hash;
    std::vector<std::byte> buffer(1 << 16);
    for (;;) {
      const auto got = mortise::sys::read_some(file->get(), buffer);
      if (!got.ok()) return "unreadable";
      if (*got == 0) return std::string(hash.finish().brief());
      hash.update(std::span(buffer).first(*got));
    }
  }

  static std::string attributes(const std::string& full) {
    const auto fd = mortise::sys::open(full, O_PATH | O_NOFOLLOW);
    if (!fd.ok()) return " unreadable";
    auto names = mortise::sys::list_xattrs(fd->get()).value_or(std::vector<std::string>{});
    std::sort(names.begin(), names.end());
    std::string out;
    for (const std::string& name : names)
      if (!name.starts_with("trusted.overlay.") && !name.starts_with("user.overlay."))
        mortise::append(out, ' ', name, '=',
                        mortise::printable(mortise::sys::get_xattr(fd->get(), name).value_or("?")));
    return out;
  }

  std::string root_;
  std::map<std::string, std::string> lines_;
};

/// Empty for equal trees; otherwise what differs, at most twenty entries of it.
inline std::string differences(const std::string& one, const std::string& other) {
  const tree_listing left(one);
  const tree_listing right(other);
  std::map<std::string, int> paths;
  for (const auto& [path, line] : left.lines()) paths[path];
  for (const auto& [path, line] : right.lines()) paths[path];
  std::string out;
  int count = 0;
  for (const auto& [path, unused] : paths)
    if (left[path] != right[path] && ++count <= 20)
      mortise::append(out, path, "\n  ", left[path], "\n  ", right[path], '\n');
  if (count > 20) mortise::append(out, "and ", count - 20, " more\n");
  return out;
}

}  // namespace support
