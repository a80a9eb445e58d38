// SPDX-License-Identifier: Apache-2.0
// The whole of its plan is in standard_test.cpp; what it does to a container in container/security_test.cpp.
#include <mortise/isolate/standard_filesystems.hpp>

#include <doctest/doctest.h>

#include <isolate/prepared.hpp>
#include <mortise/isolate/namespaces.hpp>

namespace isolate = mortise::isolate;
using mortise::operator""_MiB;

TEST_CASE("standard_filesystems: what it makes depends on the namespaces beside it" *
          doctest::test_suite("unprivileged")) {
  using isolate::standard_filesystems;
  const std::string sized = prepared::plan_of<isolate::mount_namespace, isolate::pid_namespace, standard_filesystems>(
      {standard_filesystems::shm_size(1_MiB)});
  CHECK(sized.find("mode=1777,size=1048576") != std::string::npos);
  CHECK(sized.find("mount sysfs ro") != std::string::npos);
  CHECK(sized.find("mount mqueue") != std::string::npos);
  const std::string alone = prepared::plan_of<isolate::user_namespace, isolate::mount_namespace, isolate::pid_namespace,
                                              standard_filesystems>();
  CHECK(alone.find("share '/sys' recursively ro") != std::string::npos);
  CHECK(alone.find("mqueue") == std::string::npos);
  const std::string owner =
      prepared::plan_of<isolate::user_namespace, isolate::mount_namespace, isolate::pid_namespace,
                        isolate::ipc_namespace, isolate::network_namespace, standard_filesystems>();
  CHECK(owner.find("mount sysfs ro") != std::string::npos);
  CHECK(owner.find("mount mqueue") != std::string::npos);
}
