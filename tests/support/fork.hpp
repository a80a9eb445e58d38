// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Running a piece of a test case in a forked child: as another user, under limits, in new namespaces, or where
/// it may well be killed. The child is always reaped, and killed when its time is over.

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <support/sanitizer.hpp>
#include <utility>
#include <vector>

namespace support {

/// The user and group that own nothing.
inline constexpr uid_t nobody = 65534;

struct child_options {
  /// Become this user and group, without other groups, before the callable runs.
  std::optional<uid_t> uid = std::nullopt;
  /// setrlimit(2) resources and their soft and hard limit.
  std::vector<std::pair<int, rlim_t>> limits = {};
  /// Killed by SIGXCPU after so many seconds of processor time, if not 0; a sanitizer's program has five times as many.
  unsigned cpu_seconds = 0;
  /// CLONE_NEW* flags. A new user namespace maps the user to root in it; with CLONE_NEWPID the callable is PID 1.
  int namespaces = 0;
  /// Killed after this; where there is a bound of processor time, not before ten times that.
  std::chrono::milliseconds deadline = std::chrono::seconds(30);
};

/// How the child ended.
struct child_result {
  int code = -1;           ///< exit code, or -1
  int signal = 0;          ///< the signal that killed it, or 0
  bool timed_out = false;  ///< it was killed at its deadline
  std::string text = {};   ///< what the callable returned as text, or the message of its failure

  [[nodiscard]] bool ok() const { return code == 0; }
};

namespace detail {

inline void check(bool worked, const char* what) {
  if (!worked) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

inline void write_text(const char* path, const std::string& text) {
  const mortise::sys::unique_fd file(::open(path, O_WRONLY | O_CLOEXEC));
  check(file.get() >= 0 && ::write(file.get(), text.data(), text.size()) >= 0, path);
}

inline void enter_namespaces(int flags) {
  if (flags == 0) return;
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  check(::unshare(flags) == 0, "unshare");
  if ((flags & CLONE_NEWUSER) != 0) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + uid + " 1");
    write_text("/proc/self/gid_map", "0 " + gid + " 1");
  }
  if ((flags & CLONE_NEWNS) != 0)
    check(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  if ((flags & CLONE_NEWPID) == 0) return;
  // Only children are in the new PID namespace: one goes on, this process passes its end upwards.
  const pid_t first = ::fork();
  check(first >= 0, "fork");
  if (first == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return;
  }
  int status = 0;
  while (::waitpid(first, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) ::raise(WTERMSIG(status));
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

inline void become(const child_options& options) {
  auto limits = options.limits;
  const unsigned times = address_sanitizer || thread_sanitizer ? 5 : 1;
  if (options.cpu_seconds != 0) limits.emplace_back(RLIMIT_CPU, times * options.cpu_seconds);
  for (const auto& [resource, value] : limits) {
    const rlimit limit{value, value};
    check(::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0, "setrlimit");
  }
  if (options.uid) {
    check(::setgroups(0, nullptr) == 0 && ::setresgid(*options.uid, *options.uid, *options.uid) == 0 &&
              ::setresuid(*options.uid, *options.uid, *options.uid) == 0,
          "become another user");
    ::prctl(PR_SET_DUMPABLE, 1);  // or the child could not write the maps of its own user namespace
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  enter_namespaces(options.namespaces);
}

/// Runs the callable and makes an exit code and a text of what it returns: nothing, a bool (true is 0), an exit
/// code, a text, or a Status.
template <class Callable>
int run(Callable& callable, std::string& text) {
  using result = std::invoke_result_t<Callable&>;
  if constexpr (std::is_void_v<result>) {
    callable();
    return 0;
  } else if constexpr (std::same_as<result, bool>) {
    return callable() ? 0 : 1;
  } else if constexpr (std::integral<result>) {
    return static_cast<int>(callable());
  } else if constexpr (std::same_as<result, absl::Status>) {
    const absl::Status status = callable();
    text = mortise::message(status);
    return status.ok() ? 0 : 1;
  } else {
    text = callable();
    return 0;
  }
}

/// Reads the text until the child closes it or its time is over; kills it then.
inline std::string read_until(int fd, pid_t child, std::chrono::steady_clock::time_point end, bool& timed_out) {
  std::string text;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLIN, 0};
    const int ready = left.count() > 0 ? ::poll(&waiting, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      timed_out = true;
      ::kill(child, SIGKILL);
      return text;
    }
    char buffer[4096];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace detail

/// Runs `callable` in a forked child. Exit code 99 with a text means that the child could not be set up, or threw.
/// doctest's checks do not count in there: bring the result back and check it here.
template <class Callable>
child_result in_child(const child_options& options, Callable callable) {
  auto ends = mortise::sys::make_pipe();
  if (!ends.ok()) throw std::runtime_error("make pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  detail::check(child >= 0, "fork");
  if (child == 0) {
    std::string text;
    int code = 99;
    try {
      detail::become(options);
      code = detail::run(callable, text);
    } catch (const std::exception& problem) {
      text = problem.what();
    }
    mortise::sys::write_all(ends->write.get(), text).IgnoreError();
    ::_exit(code);
  }
  ends->write.reset();
  child_result result;
  const auto end =
      std::chrono::steady_clock::now() +
      std::max<std::chrono::milliseconds>(options.deadline, std::chrono::seconds(10 * options.cpu_seconds));
  result.text = detail::read_until(ends->read.get(), child, end, result.timed_out);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}
template <class Callable>
child_result in_child(Callable callable) {
  return in_child(child_options{}, std::move(callable));
}

}  // namespace support
