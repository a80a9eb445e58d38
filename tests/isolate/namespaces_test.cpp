// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/namespaces.hpp>

#include <doctest/doctest.h>

#include <isolate/prepared.hpp>

namespace isolate = mortise::isolate;
using prepared::plan_of;

TEST_CASE("namespaces: each asks for its own flag and says what it does" * doctest::test_suite("unprivileged")) {
  CHECK(plan_of<isolate::mount_namespace>() == "clone flags 0x20000\nhost\n  make mounts private\n");
  CHECK(plan_of<isolate::pid_namespace>() == "clone flags 0x20000000\n");
  CHECK(plan_of<isolate::ipc_namespace>() == "clone flags 0x8000000\n");
  CHECK(plan_of<isolate::network_namespace>() == "clone flags 0x40000000\nnetwork\n  bring up loopback\n");
  CHECK(plan_of<isolate::uts_namespace>() == "clone flags 0x4000000\nnetwork\n  set hostname 'box'\n");
  CHECK(plan_of<isolate::user_namespace>() ==
        mortise::concat("clone flags 0x10000000\nidentity\n  map user and group ids: uid 0 ", ::geteuid(),
                        " 1\n, gid 0 ", ::getegid(), " 1\n\n"));
}

TEST_CASE("namespaces: a host name is one" * doctest::test_suite("unprivileged")) {
  const auto named = [](const std::string& name) {
    return plan_of<isolate::uts_namespace>({isolate::uts_namespace::hostname(name)});
  };
  for (const std::string& name :
       {std::string("a"), std::string("web-1.example"), std::string(64, 'x'), std::string("")})
    CHECK(named(name).starts_with("clone flags"));
  for (const std::string& name :
       {std::string("-a"), std::string(".a"), std::string("a b"), std::string("a\nb"), std::string(65, 'x')})
    CHECK(named(name).starts_with("uts-namespace: set hostname '"));
}
