// SPDX-License-Identifier: Apache-2.0
// The main function of every suite. As root it works in a mount namespace of its own, so that whatever a case
// mounts is gone with the process, even if it is killed, and no other process's mounts disturb it, and writes to a
// disk of its own.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <support/reporter.hpp>
#include <support/scratch_disk.hpp>

DOCTEST_REGISTER_REPORTER("mortise", 1, support::reporter);

int main(int count, char** words) {
  if (::geteuid() == 0 && (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0))
    std::perror("make a private mount namespace for the tests");
  ::umask(022);
  doctest::Context context;
  context.setOption("reporters", "mortise");
  context.setOption("no-path-filenames", false);
  context.applyCommandLine(count, words);
  const support::scratch_disk disk;
  return context.run();
}
