// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

TEST_CASE("leaks: finds a descriptor, a child, and nothing when they are gone") {
  const support::leak_snapshot before;
  CHECK(before.leaked() == "");
  auto fd = mortise::sys::open("/dev/null", O_RDONLY);
  REQUIRE(fd.ok());
  CHECK(before.leaked().find("of /dev/null") != std::string::npos);
  fd->reset();
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  CHECK(before.leaked().find("child process " + std::to_string(child)) != std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(before.leaked() == "");
}

TEST_CASE("leaks: finds a mount") {
  if (support::missing_root()) return;
  const support::leak_snapshot before;
  {
    const support::temporary_tmpfs disk(1 << 16);
    CHECK(before.leaked().find(disk.path()) != std::string::npos);
  }
  CHECK(before.leaked() == "");
}
