// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A process in the caller's memory, for what no thread can do: it costs the same however large the caller is.
/// clone(2), CLONE_VM.

#include <linux/sched.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/raw_clone.hpp>

namespace mortise::sys {

/// It runs beside the caller's threads: so it makes raw system calls only, and touches nothing that they touch. Its
/// descriptors are copies of the caller's.
class sharing_process {
 public:
  sharing_process() = default;
  /// Waits for its end, which its owner has to see to.
  ~sharing_process() {
    while (pid_ > 0 && ::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  sharing_process(const sharing_process&) = delete;
  sharing_process& operator=(const sharing_process&) = delete;

  /// `flags` are CLONE_NEW*; `run(argument)` ends the process by SYS_exit, and never returns. No signal of the caller's
  /// terminal ends it.
  /// Fails with what mmap(2) and clone3(2) fail with.
  absl::Status start(std::uint64_t flags, void (*run)(void*), void* argument) {
    if (stack_.base() == nullptr) return errno_error(ENOMEM, "allocate a stack");
    clone_args arguments{};
    arguments.flags = flags | CLONE_VM | CLONE_CLEAR_SIGHAND;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack_.base());
    arguments.stack_size = child_stack::size;
    const blocked_signals blocked;
    const long started = clone_and_run(arguments, run, argument);
    if (started < 0) return errno_error(static_cast<int>(-started), "clone3");
    pid_ = static_cast<pid_t>(started);
    return absl::OkStatus();
  }

  /// As the caller numbers it.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  child_stack stack_;
  pid_t pid_ = 0;
};

}  // namespace mortise::sys
