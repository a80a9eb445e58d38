// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// clone3(2) for children that share the caller's memory and run on a stack of their own.

#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

/// Of an address sanitizer, where the program has one: a child that has gone by exec left its marks on its stack.
// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-redundant-declaration)
extern "C" [[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* base, std::size_t size);

namespace mortise::sys {

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

}  // namespace mortise::sys
