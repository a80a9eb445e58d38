// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/sharing_process.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/sys/call.hpp>
#include <string>

using namespace mortise;

namespace {

struct work {
  int ends[2] = {-1, -1};
  int read = 0;
};

/// Takes what comes, and says in our memory what that was.
void take(void* what) {
  auto* const mine = static_cast<work*>(what);
  char byte = 0;
  if (sys::call(SYS_read, mine->ends[0], &byte, 1) == 1) mine->read = byte;
  for (;;) (void)sys::call(SYS_exit, 0);
}

}  // namespace

TEST_CASE("sharing_process: works in our memory beside us, and is waited for" * doctest::test_suite("unprivileged")) {
  work shared;
  REQUIRE(::pipe2(shared.ends, O_CLOEXEC) == 0);
  pid_t pid = 0;
  {
    sys::sharing_process process;
    CHECK(process.pid() == 0);
    const absl::Status started = process.start(0, take, &shared);
    REQUIRE_MESSAGE(started.ok(), std::string(message(started)));
    pid = process.pid();
    CHECK(::kill(pid, SIGTERM) == 0);  // it heeds none
    CHECK(::write(shared.ends[1], "x", 1) == 1);
  }
  CHECK(shared.read == 'x');
  CHECK(::kill(pid, 0) != 0);
  CHECK(errno == ESRCH);
  for (const int each : shared.ends) ::close(each);
}

TEST_CASE("sharing_process: a refusal is the kernel's, and leaves none" * doctest::test_suite("unprivileged")) {
  sys::sharing_process process;
  const absl::Status refused = process.start(CLONE_THREAD, take, nullptr);  // not without CLONE_SIGHAND
  CHECK(message(refused) == "clone3: Invalid argument");
  CHECK(process.pid() == 0);
}
