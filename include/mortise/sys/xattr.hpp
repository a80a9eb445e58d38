// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Extended attributes of the inode behind a descriptor (O_PATH ones too): xattr(7).

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::sys {

namespace detail {
/// A call of f*xattr(2); of an O_PATH descriptor, which those refuse, the same by the name that reaches its inode.
template <class ByDescriptor, class ByName>
ssize_t by_any(int fd, ByDescriptor by_descriptor, ByName by_name) {
  const ssize_t done = by_descriptor(fd);
  return done < 0 && errno == EBADF ? by_name(concat("/proc/self/fd/", fd).c_str()) : done;
}
}  // namespace detail

/// Names of all attributes that the caller may see.
inline absl::StatusOr<std::vector<std::string>> list_xattrs(int fd) {
  std::vector<std::string> out;
  char few[256];  // mostly there are none, or few
  std::string many;
  std::span<char> names(few);
  const auto list = [&](char* into, std::size_t most) {
    return detail::by_any(
        fd, [&](int of) { return ::flistxattr(of, into, most); },
        [&](const char* of) { return ::listxattr(of, into, most); });
  };
  ssize_t got = 0;
  while ((got = list(names.data(), names.size())) < 0 && errno == ERANGE) {
    many.resize(static_cast<std::size_t>(std::max<ssize_t>(list(nullptr, 0), 1)));
    names = many;
  }
  if (got < 0 && errno != ENOTSUP && errno != EOPNOTSUPP) return errno_error(errno, "list extended attributes");
  for (ssize_t at = 0; at < got; at += static_cast<ssize_t>(out.back().size()) + 1) out.emplace_back(names.data() + at);
  return out;
}

/// One attribute's value.
inline absl::StatusOr<std::string> get_xattr(int fd, const std::string& name) {
  const auto get = [&](char* into, std::size_t most) {
    return detail::by_any(
        fd, [&](int of) { return ::fgetxattr(of, name.c_str(), into, most); },
        [&](const char* of) { return ::getxattr(of, name.c_str(), into, most); });
  };
  for (;;) {
    const ssize_t size = get(nullptr, 0);
    std::string value(static_cast<std::size_t>(std::max<ssize_t>(size, 1)), '\0');
    const ssize_t got = size < 0 ? size : get(value.data(), value.size());
    if (got < 0 && errno == ERANGE) continue;
    if (got < 0) return errno_error(errno, concat("get extended attribute '", printable(name), '\''));
    value.resize(static_cast<std::size_t>(got));
    return value;
  }
}

inline absl::Status set_xattr(int fd, const std::string& name, std::string_view value) {
  const ssize_t done = detail::by_any(
      fd, [&](int of) { return ::fsetxattr(of, name.c_str(), value.data(), value.size(), 0); },
      [&](const char* of) { return ::setxattr(of, name.c_str(), value.data(), value.size(), 0); });
  if (done == 0) return absl::OkStatus();
  return errno_error(errno, concat("set extended attribute '", printable(name), '\''));
}

inline absl::Status remove_xattr(int fd, const std::string& name) {
  const ssize_t done = detail::by_any(
      fd, [&](int of) { return ::fremovexattr(of, name.c_str()); },
      [&](const char* of) { return ::removexattr(of, name.c_str()); });
  if (done == 0) return absl::OkStatus();
  return errno_error(errno, concat("remove extended attribute '", printable(name), '\''));
}

}  // namespace mortise::sys
