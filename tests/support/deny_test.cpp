// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <mortise/sys/path.hpp>
#include <mortise/sys/xattr.hpp>
#include <support/deny.hpp>

TEST_CASE("deny: the calls fail with the error, others do not, and only in the child") {
  const auto result = support::deny({SYS_openat2, SYS_getppid}, ENOSYS, [] {
    open_how how{};
    const long opened = mortise::sys::call(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
    const long parent = mortise::sys::call(SYS_getppid);
    return opened == -ENOSYS && parent == -ENOSYS && ::getpid() > 0;
  });
  CHECK_MESSAGE(result.ok(), result.text);
  CHECK(mortise::sys::call(SYS_getppid) > 0);
}

TEST_CASE("deny: any error may be chosen") {
  CHECK(support::deny({SYS_getppid}, EPERM, [] { return static_cast<int>(-mortise::sys::call(SYS_getppid)); }).code ==
        EPERM);
}
