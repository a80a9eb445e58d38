// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whose a directory is, and whether somebody else could put another in its place.

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>

namespace mortise::sys {

namespace detail {

/// What stat(2) says of an owner that the caller's user namespace has no number for: user_namespaces(7). Within one it
/// may be the machine's own root, and outside of it is nobody.
inline bool is_unmapped(uid_t owner) {
  constexpr uid_t overflow = 65534;
  if (owner != overflow) return false;
  const auto map = read_file("/proc/self/uid_map", 4096);
  return map.ok() && map->find("4294967295") == std::string::npos;
}

inline bool is_believed(uid_t owner) { return owner == 0 || owner == ::geteuid() || is_unmapped(owner); }

}  // namespace detail

/// For what is believed later without another look. Refuses a directory that is not the caller's own or that others may
/// write to, and one that anybody could exchange: one above it may be written by everybody and is not sticky, or
/// somebody else has made one above it in a place such as /tmp. Whom root gave a place is believed.
///
/// Fails with: PERMISSION_DENIED, which says who could do what; an errno where it is not there.
inline absl::Status expect_own_directory(const std::string& path) {
  const auto refuse = [&path](std::string_view why) {
    return error(absl::StatusCode::kPermissionDenied, concat("use directory '", path, "': ", why));
  };
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  struct stat below{};
  if (real == nullptr || ::stat(real.get(), &below) != 0)
    return errno_error(errno, concat("use directory '", path, '\''));
  if (!S_ISDIR(below.st_mode) || below.st_uid != ::geteuid() || (below.st_mode & 022) != 0)
    return refuse("it must be a directory of the caller's own that nobody else can write");
  for (std::string at = real.get(); at.size() > 1;) {
    const std::string above = at.substr(0, std::max<std::size_t>(at.rfind('/'), 1));
    struct stat about{};
    if (::stat(above.c_str(), &about) != 0) return errno_error(errno, concat("use directory '", path, '\''));
    const bool is_shared = (about.st_mode & S_IWOTH) != 0;
    if (is_shared && (about.st_mode & S_ISVTX) == 0)
      return refuse(concat("everybody could exchange it in '", above, "' (chmod o-w, or choose another place)"));
    if (is_shared && !detail::is_believed(below.st_uid))
      return refuse(concat("user ", below.st_uid, " could exchange it in '", at, "' (choose another place)"));
    at = above;
    below = about;
  }
  return absl::OkStatus();
}

}  // namespace mortise::sys
