// SPDX-License-Identifier: Apache-2.0
// The program in the roots of benchmarks/provision: as little as the kernel can execute.
//
//   provision_inside [FILES]    ends at once; with a number it reads every regular file below "/", and fails unless
//                               there are so many; it prints nanoseconds and a space, so that whoever runs it goes on
//                               with the line
//
// No library: what a program takes to start would be most of what is measured.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#if !defined(__x86_64__)
#error "the floors are written for x86-64"
#endif

static long call(long number, long first, long second, long third) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third)
                   : "rcx", "r11", "memory");
  return result;
}
static long open_at(long directory, const char* name, long flags) {
  long result;
  register long mode __asm__("r10") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)SYS_openat), "D"(directory), "S"(name), "d"(flags), "r"(mode)
                   : "rcx", "r11", "memory");
  return result;
}
static void end(long code) {
  for (;;) call(SYS_exit_group, code, 0, 0);
}

// What getdents64(2) gives.
struct entry {
  uint64_t inode;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};
enum { is_directory = 4, is_file = 8 };

static char content[1 << 17];
static long files;

static void read_file(long directory, const char* name) {
  const long file = open_at(directory, name, O_RDONLY | O_NOFOLLOW);
  if (file < 0) end(3);
  long got;
  while ((got = call(SYS_read, file, (long)content, sizeof content)) > 0) continue;
  if (got < 0) end(4);
  call(SYS_close, file, 0, 0);
  ++files;
}

static void read_tree(long above, const char* name) {
  const long directory = open_at(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (directory < 0) end(5);
  _Alignas(struct entry) char list[1 << 15];
  long got;
  while ((got = call(SYS_getdents64, directory, (long)list, sizeof list)) > 0) {
    for (long at = 0; at < got;) {
      const struct entry* const each = (const struct entry*)(list + at);
      at += each->length;
      const char* const text = each->name;
      const int is_dots = text[0] == '.' && (text[1] == 0 || (text[1] == '.' && text[2] == 0));
      if (each->type == is_directory && !is_dots) read_tree(directory, text);
      if (each->type == is_file) read_file(directory, text);
    }
  }
  if (got < 0) end(6);
  call(SYS_close, directory, 0, 0);
}

static int64_t now(void) {
  struct timespec at;
  call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&at, 0);
  return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void print(int64_t number) {
  char text[24];
  char* at = text + sizeof text;
  *--at = ' ';
  do {
    *--at = (char)('0' + number % 10);
  } while ((number /= 10) != 0);
  call(SYS_write, 1, (long)at, text + sizeof text - at);
}

// The kernel's stack at the start of a program: the number of words, then the words.
__attribute__((used)) static void run(const long* stack) {
  const char* const* const words = (const char* const*)(stack + 1);
  if (stack[0] < 2) end(0);
  long wanted = 0;
  for (const char* digit = words[1]; *digit != 0; ++digit) wanted = wanted * 10 + (*digit - '0');
  const int64_t start = now();
  read_tree(AT_FDCWD, "/");
  if (files != wanted) end(7);
  print(now() - start);
  end(0);
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n hlt\n");
