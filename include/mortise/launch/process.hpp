// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A container's first process, as its launcher holds it.

#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <mortise/base/status.hpp>
#include <mortise/model/exit_status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/process.hpp>
#include <optional>
#include <utility>

namespace mortise::launch {

/// Owns the pidfd of a child; moves, never copies. Its destructor neither kills nor reaps.
class process {
 public:
  using deadline = std::optional<std::chrono::steady_clock::time_point>;

  process(pid_t pid, sys::unique_fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  /// As the caller's pid namespace numbers it.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable once the process has ended: for poll(2) loops.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

  /// Whether it has ended; only then may its number become another process'.
  [[nodiscard]] bool has_ended() const {
    return status_ || sys::wait_for_end(pidfd_.get(), std::chrono::steady_clock::now()).ok();
  }

  /// How it ended, waiting for that until `until`. Fails with DEADLINE_EXCEEDED; may be called again, also
  /// after success.
  absl::StatusOr<model::exit_status> wait(deadline until = {}) {
    if (!status_) {
      MORTISE_RETURN_IF_ERROR(sys::wait_for_end(pidfd_.get(), until));
      MORTISE_ASSIGN_OR_RETURN(const sys::process_end end, sys::reap(pidfd_.get()));
      status_ = end.by_signal ? model::exit_status::signaled(end.number) : model::exit_status::exited(end.number);
    }
    return *status_;
  }

  /// Sends a signal; a process that has ended is success, since there is nobody left to send it to.
  absl::Status kill(int signal) {
    if (status_) return absl::OkStatus();
    const absl::Status sent = sys::signal_process(pidfd_.get(), signal);
    return errno_of(sent) == ESRCH ? absl::OkStatus() : sent;
  }

  /// Kills it and waits until it has ended; its status is kept for wait.
  absl::Status end(deadline until) {
    MORTISE_RETURN_IF_ERROR(kill(SIGKILL));
    if (!status_) MORTISE_RETURN_IF_ERROR(sys::wait_for_end(pidfd_.get(), until));
    (void)wait();  // a caller that ignores SIGCHLD has lost the status, and needs nothing reaped
    return absl::OkStatus();
  }

 private:
  pid_t pid_;
  sys::unique_fd pidfd_;
  std::optional<model::exit_status> status_;
};

}  // namespace mortise::launch
