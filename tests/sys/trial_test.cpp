// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/trial.hpp>

#include <doctest/doctest.h>
#include <signal.h>

#include <support/skip.hpp>

using namespace mortise;

TEST_CASE("what is tried in a child has its result, and no effect here") {
  int local = 1;
  const auto done = sys::try_in_child(0, [&] {
    local = 2;
    return 0;
  });
  REQUIRE(done.ok());
  CHECK(*done == 0);
  CHECK(local == 1);
  CHECK(*sys::try_in_child(0, [] { return -EXDEV; }) == -EXDEV);
  CHECK(!sys::try_in_child(0, [] {
           sys::call(SYS_kill, sys::call(SYS_getpid), SIGKILL);
           return 0;
         }).ok());
}

TEST_CASE("in a user namespace the child is root, and outside it the caller") {
  if (support::missing_user_namespaces()) return;
  const auto uid = sys::try_in_child(CLONE_NEWUSER, [] { return -static_cast<int>(sys::call(SYS_geteuid)); });
  REQUIRE(uid.ok());
  CHECK(*uid == 0);
  CHECK(*sys::try_in_child(CLONE_NEWUSER | CLONE_NEWNS, [] {
    return static_cast<int>(sys::call(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr));
  }) == 0);
}
