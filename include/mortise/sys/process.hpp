// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Processes by pidfd: wait, signal, and telling one process from a later one with its number. pidfd_open(2),
/// pidfd_send_signal(2), waitid(2) with P_PIDFD.

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/compat.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::sys {

/// A process for all time: its number, and when it began in clock ticks since boot (proc_pid_stat(5), 22).
struct process_identity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  bool operator==(const process_identity&) const = default;
};

/// Reads the identity out of the text of /proc/PID/stat. The name in brackets may hold anything, brackets too.
inline std::optional<process_identity> parse_stat(std::string_view text) {
  const std::size_t open = text.find(" (");
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  const auto pid = parse_number<pid_t>(text.substr(0, open));
  const auto fields = split(text.substr(close + 1), ' ');  // fields[1] is field 3
  if (!pid || fields.size() < 21) return std::nullopt;
  const auto start = parse_number<std::uint64_t>(fields[20]);
  if (!start) return std::nullopt;
  return process_identity{*pid, *start};
}

/// A descriptor of the process with this number. NOT_FOUND (ESRCH) if there is none.
inline absl::StatusOr<unique_fd> open_process(pid_t pid) {
  const long fd = call(SYS_pidfd_open, pid, 0);
  if (fd < 0) return errno_error(static_cast<int>(-fd), concat("open process ", pid));
  return unique_fd(static_cast<int>(fd));
}

/// A descriptor of exactly this process: NOT_FOUND if it is gone, also when its number has been given away.
inline absl::StatusOr<unique_fd> open_process(const process_identity& who) {
  MORTISE_ASSIGN_OR_RETURN(unique_fd fd, open_process(who.pid));
  const auto stat = read_file(concat("/proc/", who.pid, "/stat"), 4096);
  // The descriptor was there first: if the text still says the same process, the descriptor is that process.
  if (!stat.ok() || parse_stat(*stat) != who) return errno_error(ESRCH, concat("open process ", who.pid));
  return fd;
}

/// Sends a signal. NOT_FOUND (ESRCH) if the process has been reaped; a zombie takes it silently.
inline absl::Status signal_process(int pidfd, int number) {
  const long sent = call(SYS_pidfd_send_signal, pidfd, number, nullptr, 0);
  return sent == 0 ? absl::OkStatus() : errno_error(static_cast<int>(-sent), concat("send signal ", number));
}

/// Waits until the process ends or `deadline` passes (DEADLINE_EXCEEDED); without one, forever. Does not reap.
/// Works for processes that are not children too.
inline absl::Status wait_for_end(int pidfd, std::optional<std::chrono::steady_clock::time_point> deadline = {}) {
  for (;;) {
    timespec left{};
    if (deadline) {
      const auto rest = std::max(std::chrono::nanoseconds::zero(),
                                 std::chrono::nanoseconds(*deadline - std::chrono::steady_clock::now()));
      left.tv_sec = static_cast<time_t>(rest.count() / 1'000'000'000);
      left.tv_nsec = static_cast<long>(rest.count() % 1'000'000'000);
    }
    pollfd wanted{pidfd, POLLIN, 0};
    const int ready = ::ppoll(&wanted, 1, deadline ? &left : nullptr, nullptr);
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return error(absl::StatusCode::kDeadlineExceeded, "wait for process: the deadline has passed");
    if (errno != EINTR) return errno_error(errno, "wait for process");
  }
}

/// How a process ended: by exit(2) with a code, or by a signal.
struct process_end {
  bool by_signal = false;
  int number = 0;  ///< the exit code, or the signal
};

namespace detail {
/// How a process that somebody has reaped ended, as Linux 6.15 keeps it for those who hold a pidfd.
inline std::optional<process_end> kept_status(int pidfd) {
  pidfd_info about;
  about.mask = pidfd_info_exit;
  if (::ioctl(pidfd, pidfd_get_info, &about) != 0 || (about.mask & pidfd_info_exit) == 0) return std::nullopt;
  if (WIFEXITED(about.exit_code)) return process_end{false, WEXITSTATUS(about.exit_code)};
  return process_end{true, WTERMSIG(about.exit_code)};
}
}  // namespace detail

/// Reaps a child that has ended, waiting for it if it has not. ECHILD if it is not our child, or if it was reaped
/// before (by the kernel, where the caller ignores SIGCHLD) and the kernel does not tell how it ended.
inline absl::StatusOr<process_end> reap(int pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
    if (errno == EINTR) continue;
    const int problem = errno;
    if (const auto kept = detail::kept_status(pidfd)) return *kept;
    return errno_error(problem, "reap process",
                       problem == ECHILD ? "it is no child, or was reaped already: is SIGCHLD ignored?" : "");
  }
  return process_end{info.si_code != CLD_EXITED, info.si_status};
}

}  // namespace mortise::sys
