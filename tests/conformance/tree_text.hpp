// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A tree as text, a line each, to be compared with what it should be.

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <conformance/layers.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <vector>

namespace conformance {

/// "path: content", "path/", "path -> target", "path|" for a FIFO, "path c1:3" for a device.
inline std::string line_of(const std::string& path, const std::string& shown, const struct stat& about) {
  if (S_ISDIR(about.st_mode)) return shown + '/';
  if (S_ISFIFO(about.st_mode)) return shown + '|';
  if (S_ISCHR(about.st_mode))
    return shown + " c" + std::to_string(major(about.st_rdev)) + ':' + std::to_string(minor(about.st_rdev));
  if (S_ISLNK(about.st_mode)) {
    char target[4096] = {};
    check(::readlink(path.c_str(), target, sizeof target - 1) >= 0, "read link " + path);
    return shown + " -> " + target;
  }
  const auto text = mortise::sys::read_file(path);
  return shown + ": " + (text.ok() ? *text : std::string(mortise::message(text.status())));
}

/// The lines of all below `root`, sorted.
inline std::vector<std::string> tree_lines(const std::string& root, const std::string& below = {}) {
  std::vector<std::string> lines;
  const std::string path = root + '/' + below;
  const auto listed = mortise::sys::for_each_entry(AT_FDCWD, path, [&](std::string_view name, unsigned char) {
    const std::string shown = below.empty() ? std::string(name) : below + '/' + std::string(name);
    struct stat about{};
    if (::lstat((root + '/' + shown).c_str(), &about) != 0) {
      // The kernel's overlay lists a whiteout that has nothing to hide, although nothing is found there.
      if (errno != ENOENT) lines.push_back(shown + ": " + std::strerror(errno));
      return absl::OkStatus();
    }
    lines.push_back(line_of(root + '/' + shown, shown, about));
    if (!S_ISDIR(about.st_mode)) return absl::OkStatus();
    const auto inner = tree_lines(root, shown);
    lines.insert(lines.end(), inner.begin(), inner.end());
    return absl::OkStatus();
  });
  check(listed.ok(), "list " + path);
  std::sort(lines.begin(), lines.end());
  return lines;
}

inline std::string text_of(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& each : lines) text += each + '\n';
  return text;
}

inline std::string tree_text(const std::string& root) { return text_of(tree_lines(root)); }

}  // namespace conformance
