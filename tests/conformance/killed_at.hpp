// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A process killed at a chosen system call: "crash at any instruction", by ptrace(2).

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <conformance/layers.hpp>

namespace conformance {

/// Runs `callable` in a forked child that is killed just before it makes its system call number `call`. False if the
/// child had ended by itself before that.
template <class Callable>
bool killed_at(int call, Callable callable) {
  const pid_t child = ::fork();
  check(child >= 0, "fork");
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(98);
    ::raise(SIGSTOP);
    callable();
    ::_exit(0);
  }
  int status = 0;
  check(::waitpid(child, &status, 0) == child && WIFSTOPPED(status), "trace child");
  check(::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0, "trace child");
  for (int stop = 0; stop <= 2 * call; ++stop) {  // each call stops twice: before and after
    check(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0, "trace child");
    check(::waitpid(child, &status, 0) == child, "wait for child");
    if (!WIFSTOPPED(status)) return false;
  }
  check(::kill(child, SIGKILL) == 0 && ::waitpid(child, &status, 0) == child, "kill child");
  return true;
}

}  // namespace conformance
