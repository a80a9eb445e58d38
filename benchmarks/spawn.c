// SPDX-License-Identifier: Apache-2.0
// Times a command from start to end: a small process, so that neither its own memory nor its start is in the figures.
//
//   spawn COMMAND [ARGUMENT]...    each line on standard input runs it once, silently; the answer is its nanoseconds,
//                                  the peak KiB resident of its largest process, and its wait status
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

int main(int count, char** words) {
  if (count < 2) return fprintf(stderr, "usage: spawn COMMAND [ARGUMENT]...\n"), 2;
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_addopen(&streams, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&streams, 1, "/dev/null", O_WRONLY, 0);
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    pid_t pid;
    int status = 0;
    struct rusage used;
    const uint64_t start = now();
    const int problem = posix_spawnp(&pid, words[1], &streams, NULL, words + 1, environ);
    if (problem != 0) return fprintf(stderr, "spawn: %s: %s\n", words[1], strerror(problem)), 1;
    while (wait4(pid, &status, 0, &used) < 0 && errno == EINTR) continue;
    printf("%ju %ld %d\n", (uintmax_t)(now() - start), used.ru_maxrss, status);
    fflush(stdout);
  }
  return 0;
}
