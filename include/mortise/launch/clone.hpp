// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The launcher: one clone3(2), the plan run in the caller's memory on a stack of its own, one exec.

#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mortise/launch/child.hpp>
#include <mortise/launch/launcher.hpp>
#include <mortise/model/plan_text.hpp>
#include <mortise/sys/fd.hpp>
#include <mutex>
#include <utility>

/// Of an address sanitizer, where the program has one: a child that has gone by exec left its marks on its stack.
// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-redundant-declaration)
extern "C" [[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* base, std::size_t size);

namespace mortise::launch {

namespace detail {

/// The child's stack: its own, since the caller's is in use; below it a page that faults. The last one is kept for
/// the next launch: to unmap it interrupts every processor that may still know it, which costs more than a clone.
class child_stack {
 public:
  static constexpr std::size_t size = 256 << 10;

  child_stack() : base_(kept_.exchange(nullptr)) {
    if (base_ != nullptr) {
      if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(base_, size);
      return;
    }
    void* const base =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) return;
    base_ = static_cast<std::byte*>(base);
    (void)::mprotect(base_, 4096, PROT_NONE);
  }
  ~child_stack() {
    std::byte* const other = kept_.exchange(base_);
    if (other != nullptr) ::munmap(other, size);
  }
  child_stack(const child_stack&) = delete;
  child_stack& operator=(const child_stack&) = delete;

  [[nodiscard]] std::byte* base() const { return base_; }

 private:
  static inline std::atomic<std::byte*> kept_ = nullptr;
  std::byte* base_;
};

/// Signals held back while the child shares our memory: a handler running there would run on our data. So would the
/// end of a cancelled thread, which the child would take for its own at its first close(2).
class blocked_signals {
 public:
  blocked_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling_);
  }
  ~blocked_signals() {
    ::pthread_setcancelstate(cancelling_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;

 private:
  sigset_t before_{};
  int cancelling_ = PTHREAD_CANCEL_ENABLE;
};

/// A child that changes its user makes the memory it shares undumpable (prctl(2), PR_SET_DUMPABLE), which
/// rightly keeps its new user out of our memory until exec. Once no thread has such a child, it is ours again.
class kept_dumpable {
 public:
  kept_dumpable() {
    const std::lock_guard lock(guard_);
    if (launches_++ == 0) before_ = ::prctl(PR_GET_DUMPABLE);
  }
  ~kept_dumpable() {
    const std::lock_guard lock(guard_);
    if (--launches_ == 0 && before_ == 1 && ::prctl(PR_GET_DUMPABLE) != 1) ::prctl(PR_SET_DUMPABLE, 1);
  }
  kept_dumpable(const kept_dumpable&) = delete;
  kept_dumpable& operator=(const kept_dumpable&) = delete;

 private:
  static inline std::mutex guard_;
  static inline int launches_ = 0;
  static inline int before_ = 0;
};

/// clone3(2) whose child calls `run(argument)` on the new stack and never returns. The C library offers no
/// such call: its clone(3) knows neither CLONE_INTO_CGROUP nor CLONE_CLEAR_SIGHAND.
inline long clone_and_run(clone_args& arguments, void (*run)(void*), void* argument) {
  long result = 0;
#if defined(__x86_64__)
  register void (*function)(void*) asm("r12") = run;
  register void* parameter asm("r13") = argument;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(static_cast<long>(SYS_clone3)), "D"(&arguments), "S"(sizeof arguments), "r"(function), "r"(parameter)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register void* x0 asm("x0") = &arguments;
  register std::size_t x1 asm("x1") = sizeof arguments;
  register void (*function)(void*) asm("x10") = run;
  register void* parameter asm("x11") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, x11\n\t"
      "blr x10\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x1), "r"(number), "r"(function), "r"(parameter)
      : "memory");
  result = reinterpret_cast<long>(x0);
#else
#error "mortise launches on x86-64 and arm64 only"
#endif
  return result;
}

struct child_start {
  const model::plan* plan;
  child_memory* memory;
  report* to;
};

inline void run_child(void* start) {
  const auto* const from = static_cast<const child_start*>(start);
  child(*from->plan, *from->memory, *from->to).run_until(model::stage::execute);
  for (;;) (void)sys::call(SYS_exit_group, 127);
}

/// The operation that a report counts to.
inline const model::operation* find_operation(const model::plan& plan, std::size_t index) {
  for (std::size_t each = 0; each < model::stage_count; ++each) {
    const auto& operations = plan.at(static_cast<model::stage>(each));
    if (index < operations.size()) return &operations[index];
    index -= operations.size();
  }
  return nullptr;
}

/// "mount proc: fsmount: Operation not permitted (the kernel says: ...)", with errno and operation as payloads.
inline absl::Status to_status(const model::plan& plan, const report& from) {
  const model::operation* const failed = find_operation(plan, from.operation);
  const std::string what = failed == nullptr ? std::string("prepare the child") : model::summary_text(*failed);
  std::string_view detail = from.detail;
  while (detail.ends_with('\n')) detail.remove_suffix(1);
  absl::Status status = errno_error(from.error, concat(what, ": ", from.step),
                                    detail.empty() ? std::string() : concat("the kernel says: ", printable(detail)));
  if (from.words != nullptr) status = reword(status, concat(what, ": ", from.step, ": ", from.words));
  const bool executing = failed != nullptr && std::holds_alternative<model::op::execute>(*failed);
  status.SetPayload(to_absl(operation_payload), absl::Cord(to_absl(executing ? "execute" : what)));
  return status;
}

/// Of a child that ended without a word: the kernel killed it, for want of memory perhaps.
inline absl::Status silent_end(const model::plan& plan, const report& from,
                               const absl::StatusOr<model::exit_status>& ended) {
  const model::operation* const last = find_operation(plan, from.operation);
  return error(
      absl::StatusCode::kAborted,
      concat(last == nullptr ? std::string("execute the plan") : model::summary_text(*last), ": the child ended ",
             ended.ok() ? concat("with code ", ended->code()) : "unseen", " before it executed a program"));
}

}  // namespace detail

/// Effects: a child in the plan's namespaces and cgroup, running the plan's last operation's program.
/// Fails with: the first operation's failure, by name, with errno and `operation_payload`; or clone3's.
/// Leaves behind on failure: nothing; the child has been reaped.
/// The caller's thread waits in the kernel from clone to exec; its memory is shared, not copied, so a large
/// caller launches as fast as a small one. clone(2), CLONE_VM and CLONE_VFORK.
struct clone {
  absl::StatusOr<process> spawn(const model::plan& plan) const {
    child_memory memory(plan);
    report outcome;
    const detail::child_stack stack;
    if (stack.base() == nullptr) return errno_error(ENOMEM, "spawn process: allocate a stack");
    detail::child_start start{&plan, &memory, &outcome};
    sys::unique_fd cgroup;
    if (!plan.cgroup.empty()) {
      MORTISE_ASSIGN_OR_RETURN(cgroup, sys::open(plan.cgroup, O_RDONLY | O_DIRECTORY));
    }
    int pidfd = -1;
    const long pid = start_child(plan, stack, start, cgroup.get(), pidfd);
    if (pid < 0) return clone_failure(plan, static_cast<int>(-pid));
    process started(static_cast<pid_t>(pid), sys::unique_fd(pidfd));
    if (outcome.error == 0 && outcome.executing) return started;
    const auto ended = started.wait();
    return outcome.error != 0 ? detail::to_status(plan, outcome) : detail::silent_end(plan, outcome, ended);
  }

 private:
  static long start_child(const model::plan& plan, const detail::child_stack& stack, detail::child_start& start,
                          int cgroup, int& pidfd) {
    clone_args arguments{};
    arguments.flags = plan.clone_flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack.base());
    arguments.stack_size = detail::child_stack::size;
    if (cgroup >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    const detail::blocked_signals blocked;
    const detail::kept_dumpable dumpable;
    return detail::clone_and_run(arguments, detail::run_child, &start);
  }

  static absl::Status clone_failure(const model::plan& plan, int error) {
    const bool new_user = (plan.clone_flags & CLONE_NEWUSER) != 0;
    std::string_view hint;
    if (error == EPERM && !new_user && plan.clone_flags != 0) hint = "needs CAP_SYS_ADMIN, or a user namespace";
    if (error == EPERM && new_user)
      hint = "user namespaces may be turned off here: see sysctl kernel.unprivileged_userns_clone";
    if (error == ENOSYS) hint = "needs Linux 5.5, and no seccomp filter that hides clone3";
    if (error == ENOSPC) hint = "a limit in /proc/sys/user/max_*_namespaces is reached";
    if (error == EAGAIN) hint = "a limit of processes is reached: RLIMIT_NPROC or a cgroup's pids.max";
    return errno_error(error, "spawn process: clone3", hint);
  }
};

static_assert(launcher<clone>);

}  // namespace mortise::launch
