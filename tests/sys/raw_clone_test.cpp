// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/raw_clone.hpp>

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <mortise/sys/call.hpp>

using namespace mortise;
using sys::child_stack;

namespace {

void answer(void* where) {
  *static_cast<int*>(where) = 42;
  for (;;) (void)sys::call(SYS_exit, 7);
}

}  // namespace

TEST_CASE("raw_clone: the child runs on its own stack in our memory" * doctest::test_suite("unprivileged")) {
  const child_stack stack;
  REQUIRE(stack.base() != nullptr);
  int said = 0;
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_VFORK;
  arguments.stack = reinterpret_cast<std::uintptr_t>(stack.base());
  arguments.stack_size = child_stack::size;
  long child = 0;
  {
    const sys::blocked_signals blocked;
    child = sys::clone_and_run(arguments, answer, &said);
  }
  REQUIRE(child > 0);
  int status = 0;
  CHECK(::waitpid(static_cast<pid_t>(child), &status, __WALL) == child);
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(said == 42);
}

TEST_CASE("raw_clone: a refusal is an errno" * doctest::test_suite("unprivileged")) {
  clone_args arguments{};
  arguments.flags = CLONE_SIGHAND;  // not without CLONE_VM
  int said = 0;
  CHECK(sys::clone_and_run(arguments, answer, &said) == -EINVAL);
}

TEST_CASE("raw_clone: the last stack is kept for the next" * doctest::test_suite("unprivileged")) {
  std::byte* first = nullptr;
  {
    const child_stack one;
    first = one.base();
  }
  const child_stack next;
  CHECK(next.base() == first);
  const child_stack other;
  CHECK(other.base() != first);
}
