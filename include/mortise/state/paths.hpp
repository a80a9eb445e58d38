// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where mortise keeps what it must find again.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <mortise/base/status.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/ownership.hpp>
#include <string>

namespace mortise::state {

/// Where the state of running containers lies by default: /run/mortise for root; else in $XDG_RUNTIME_DIR,
/// or, without one, a private directory in /tmp. All are on tmpfs on ordinary systems, or emptied at boot.
inline std::string default_state_directory() {
  if (::geteuid() == 0) return "/run/mortise";
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') return concat(runtime, "/mortise");
  return concat("/tmp/mortise-", ::geteuid());
}

/// Where images and roots lie by default: /var/lib/mortise for root, else $XDG_DATA_HOME or ~/.local/share.
inline std::string default_data_directory() {
  if (::geteuid() == 0) return "/var/lib/mortise";
  const char* const data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] == '/') return concat(data, "/mortise");
  const char* const home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return concat(home, "/.local/share/mortise");
  return concat("/tmp/mortise-data-", ::geteuid());
}

/// Makes a directory that nobody else may write or enter (mode 0700), with its parents, and checks that it is
/// the caller's own and stays it: somebody else's in a shared place is refused (CVE-2021-41103), and a link.
/// Fails with: PERMISSION_DENIED for those, or an errno.
inline absl::Status make_private_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) MORTISE_RETURN_IF_ERROR(sys::make_directories(path.substr(0, slash)));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(errno, concat("make directory '", path, '\''));
  struct stat about{};
  if (::lstat(path.c_str(), &about) == 0 && S_ISLNK(about.st_mode))
    return error(absl::StatusCode::kPermissionDenied, concat("use directory '", path, "': it is a symbolic link"));
  return sys::expect_own_directory(path);
}

/// The kernel's identifier of this boot: random(4), /proc/sys/kernel/random/boot_id. Read once a process.
inline absl::StatusOr<std::string> boot_id() {
  static const absl::StatusOr<std::string> id = [] {
    auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 64);
    if (text.ok() && text->ends_with('\n')) text->pop_back();
    return text;
  }();
  return id;
}

}  // namespace mortise::state
