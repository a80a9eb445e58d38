// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/mount_target.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace mortise;

TEST_CASE("a mount target is a path below the container's root") {
  for (const char* const good : {"/a", "/a/b", "//a", "/./a", "/process", "/sysroot", "/a/proc", "/dev/shm"})
    CHECK_MESSAGE(model::check_mount_target(good).ok(), good);
  const auto refusal = [](std::string_view target) { return std::string(message(model::check_mount_target(target))); };
  CHECK(refusal("") == "the target must be an absolute path in the container");
  CHECK(refusal("a") == "the target must be an absolute path in the container");
  CHECK(refusal("/a/../..") == "the target must not contain '..'");
  CHECK(refusal("/") == "the target must not be the root itself");
  CHECK(refusal("/./.") == "the target must not be the root itself");
  CHECK(refusal("/proc/self/attr") == "nothing may be mounted over /proc or /sys");
  CHECK(refusal("//./sys") == "nothing may be mounted over /proc or /sys");
}
