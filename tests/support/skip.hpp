// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Saying aloud what a test case cannot do here, and why: a skipped case is counted and its reason printed.
///
///     if (support::missing_root() || support::missing_program("umoci")) return;

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <support/sanitizer.hpp>

namespace support {

/// Why the running case skipped something; empty if it did not. The reporter reads and clears it.
inline std::string& skip_reason() {
  static std::string reason;
  return reason;
}

/// Marks the running case as skipped; the case returns by itself. The first reason is kept.
inline void skip(std::string_view reason) {
  if (skip_reason().empty()) skip_reason() = reason;
}

/// Skips, and says true, unless the effective user is root.
[[nodiscard]] inline bool missing_root() {
  if (::geteuid() == 0) return false;
  skip("needs root: run tests/run as root or with sudo");
  return true;
}

/// The full path of a program in $PATH, or nothing.
inline std::string find_program(std::string_view name) {
  const char* const value = std::getenv("PATH");
  std::string_view rest = value != nullptr ? value : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(':'));
    rest.remove_prefix(part.size() == rest.size() ? part.size() : part.size() + 1);
    std::string path = std::string(part) + '/' + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

/// Skips, and says true, if no such program is in $PATH.
[[nodiscard]] inline bool missing_program(std::string_view name) {
  if (!find_program(name).empty()) return false;
  skip("needs the program '" + std::string(name) + "': tests/run installs it");
  return true;
}

/// Skips, and says true, if this user cannot make a user namespace (found by making one in a child).
[[nodiscard]] inline bool missing_user_namespaces() {
  static const bool works = [] {
    // Not by fork and unshare: a thread sanitizer's child has a second thread, which the kernel refuses.
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    if (child == 0) ::syscall(SYS_exit_group, 0);
    int status = 1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
  }();
  if (works) return false;
  skip("needs user namespaces: see sysctl user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns");
  return true;
}

/// Skips, and says true, in a program whose every process has a second thread, and so cannot unshare.
[[nodiscard]] inline bool always_threaded() {
  if (!thread_sanitizer) return false;
  skip("needs a process of one thread: a thread sanitizer starts another; the other builds run it");
  return true;
}

/// Skips, and says true, where a sanitizer keeps memory beside the program's own.
[[nodiscard]] inline bool memory_is_not_ours() {
  if (!address_sanitizer && !thread_sanitizer) return false;
  skip("needs memory that a sanitizer does not add to; the other build runs it");
  return true;
}

}  // namespace support
