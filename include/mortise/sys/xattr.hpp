// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Extended attributes of the inode behind a descriptor (O_PATH ones too): xattr(7).

#include <sys/xattr.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::sys {

namespace detail {
/// The name that reaches the inode of any descriptor, also an O_PATH one, which f*xattr(2) refuse.
inline std::string descriptor_path(int fd) { return concat("/proc/self/fd/", fd); }
}  // namespace detail

/// Names of all attributes that the caller may see.
inline absl::StatusOr<std::vector<std::string>> list_xattrs(int fd) {
  const std::string path = detail::descriptor_path(fd);
  std::string names(256, '\0');  // mostly there are none, or few
  for (;;) {
    const ssize_t got = ::listxattr(path.c_str(), names.data(), names.size());
    if (got < 0 && (errno == ENOTSUP || errno == EOPNOTSUPP)) return std::vector<std::string>{};
    if (got < 0 && errno != ERANGE) return errno_error(errno, "list extended attributes");
    if (got < 0) {
      const ssize_t size = ::listxattr(path.c_str(), nullptr, 0);
      names.resize(size > 0 ? static_cast<std::size_t>(size) : names.size());
      continue;
    }
    std::vector<std::string> out;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      out.emplace_back(names.c_str() + at);
      at += out.back().size() + 1;
    }
    return out;
  }
}

/// One attribute's value.
inline absl::StatusOr<std::string> get_xattr(int fd, const std::string& name) {
  const std::string path = detail::descriptor_path(fd);
  for (;;) {
    const ssize_t size = ::getxattr(path.c_str(), name.c_str(), nullptr, 0);
    if (size < 0) return errno_error(errno, concat("get extended attribute '", printable(name), '\''));
    std::string value(static_cast<std::size_t>(size), '\0');
    const ssize_t got = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (got < 0 && errno == ERANGE) continue;
    if (got < 0) return errno_error(errno, concat("get extended attribute '", printable(name), '\''));
    value.resize(static_cast<std::size_t>(got));
    return value;
  }
}

inline absl::Status set_xattr(int fd, const std::string& name, std::string_view value) {
  if (::setxattr(detail::descriptor_path(fd).c_str(), name.c_str(), value.data(), value.size(), 0) == 0)
    return absl::OkStatus();
  return errno_error(errno, concat("set extended attribute '", printable(name), '\''));
}

inline absl::Status remove_xattr(int fd, const std::string& name) {
  if (::removexattr(detail::descriptor_path(fd).c_str(), name.c_str()) == 0) return absl::OkStatus();
  return errno_error(errno, concat("remove extended attribute '", printable(name), '\''));
}

}  // namespace mortise::sys
