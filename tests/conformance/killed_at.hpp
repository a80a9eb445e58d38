// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A process killed at a chosen system call: "crash at any instruction", by ptrace(2).

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <conformance/layers.hpp>
#include <support/deny.hpp>
#include <support/sanitizer.hpp>

namespace conformance {

/// This process, and those it forks, on one processor for as long as the object lives: processes that wait for each
/// other at every step go on twice as fast there.
class one_processor {
 public:
  one_processor() {
    if (::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  one_processor(const one_processor&) = delete;
  one_processor& operator=(const one_processor&) = delete;
  ~one_processor() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};  ///< none, where there are more than it has room for: then nothing is changed
};

/// Forks a child that has stopped, traced with these PTRACE_O_* options, before it runs `callable` and ends.
template <class Callable>
pid_t start_traced(int options, Callable callable) {
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
  check(::ptrace(PTRACE_SETOPTIONS, child, nullptr, options | PTRACE_O_EXITKILL) == 0, "trace child");
  return child;
}

/// Runs `callable` in a forked child that is killed just before it makes its system call number `call`. False if the
/// child had ended by itself before that.
template <class Callable>
bool killed_at(int call, Callable callable) {
  const one_processor both;
  const pid_t child = start_traced(PTRACE_O_TRACESYSGOOD, callable);
  int status = 0;
  for (int stop = 0; stop <= 2 * call; ++stop) {  // each call stops twice: before and after
    check(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0, "trace child");
    check(::waitpid(child, &status, 0) == child, "wait for child");
    if (!WIFSTOPPED(status)) return false;
  }
  check(::kill(child, SIGKILL) == 0 && ::waitpid(child, &status, 0) == child, "kill child");
  return true;
}

/// How many to go on by from one that a process was killed at to the next: a sanitizer makes each of them slow.
inline constexpr int stride = support::address_sanitizer || support::thread_sanitizer ? 7 : 1;

/// The calls by which a process changes files, or what it holds of them.
inline constexpr long changing_calls[] = {
    SYS_openat,   SYS_openat2,   SYS_mkdirat,         SYS_mknodat,   SYS_linkat,    SYS_symlinkat,
    SYS_unlinkat, SYS_renameat2, SYS_renameat,        SYS_write,     SYS_pwrite64,  SYS_writev,
    SYS_flock,    SYS_ftruncate, SYS_copy_file_range, SYS_fchmod,    SYS_fchmodat,  SYS_fchownat,
    SYS_fchown,   SYS_fsync,     SYS_syncfs,          SYS_utimensat, SYS_fsetxattr, SYS_fallocate};

/// The same of a callable that starts threads, whose changing calls are counted together. Needs root.
template <class Callable>
bool killed_at_change(int change, Callable callable) {
  const pid_t child = start_traced(PTRACE_O_TRACECLONE | PTRACE_O_TRACESECCOMP, [&callable] {
    support::stop_at_system_calls(changing_calls);
    callable();
  });
  int status = W_STOPCODE(SIGSTOP);
  bool killed = false;
  pid_t stopped = child;
  for (int changes = 0; stopped != child || WIFSTOPPED(status); stopped = ::waitpid(-1, &status, __WALL)) {
    check(stopped > 0, "wait for child");
    if (!WIFSTOPPED(status)) continue;  // a thread has ended
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) && changes++ == change)
      killed = ::kill(child, SIGKILL) == 0;
    (void)::ptrace(PTRACE_CONT, stopped, nullptr, nullptr);  // fails of one that is being killed
  }
  return killed;
}

}  // namespace conformance
