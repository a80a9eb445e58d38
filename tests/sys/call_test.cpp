// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/call.hpp>

#include <doctest/doctest.h>
#include <sys/syscall.h>

TEST_CASE("call: a result, or the errno's negative" * doctest::test_suite("unprivileged")) {
  CHECK(mortise::sys::call(SYS_getpid) == ::getpid());
  CHECK(mortise::sys::call(SYS_close, -1) == -EBADF);
}
