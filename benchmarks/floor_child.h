// SPDX-License-Identifier: Apache-2.0
// What the floors of launches and of roots have in common: a child in the caller's memory on a stack of its own, and
// giving up on the first call that fails.
#pragma once

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// What the child says when a call of its fails; it shares our memory.
static const char* failed_step;
static int failed_errno;

static void die(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}
static long must(long result, const char* what) {
  if (result < 0) die(what);
  return result;
}
static long child_must(long result, const char* what) {
  if (result >= 0) return result;
  failed_step = what;
  failed_errno = errno;
  _exit(127);
}
static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

// clone3(2) for a child on a stack of its own, which the C library does not offer.
static long clone_child(struct clone_args* how, void (*child)(void)) {
  long result;
#if defined(__x86_64__)
  register void (*run)(void) __asm__("r12") = child;
  __asm__ volatile("syscall; test %%rax, %%rax; jnz 1f; xor %%ebp, %%ebp; call *%%r12; hlt; 1:"
                   : "=a"(result)
                   : "a"((long)SYS_clone3), "D"(how), "S"(sizeof *how), "r"(run)
                   : "rcx", "r11", "memory");
#else
#error "the floor is written for x86-64"
#endif
  return result;
}

// Returns once the child has executed a program; `how` says what else it is to have.
static pid_t spawn(struct clone_args* how, void (*child)(void)) {
  static char* stack;
  enum { stack_size = 256 << 10 };
  if (!stack) stack = mmap(NULL, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  how->flags |= CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
  how->exit_signal = SIGCHLD;
  how->stack = (uintptr_t)stack;
  how->stack_size = stack_size;
  const long pid = clone_child(how, child);
  if (pid < 0) errno = (int)-pid, die("clone3");
  if (failed_step) errno = failed_errno, die(failed_step);
  return (pid_t)pid;
}
