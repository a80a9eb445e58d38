// SPDX-License-Identifier: Apache-2.0
// How a launched child is mapped is tested in clone_test.cpp.
#include <mortise/launch/id_mapper.hpp>

#include <doctest/doctest.h>

#include <mortise/sys/file.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>

using namespace mortise;
using launch::id_mapper;

namespace {

/// Asks as a child would, and returns the answer; -1 for none.
int ask(const id_mapper& mapper) {
  const char byte = 0;
  int answer = -1;
  if (::write(mapper.child_end(), &byte, 1) != 1) return -1;
  return ::read(mapper.child_end(), &answer, sizeof answer) == sizeof answer ? answer : -1;
}

}  // namespace

TEST_CASE("id_mapper: maps the ids of the process that it is told") {
  if (support::missing_root()) return;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const char done = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    (void)!::write(ready[1], &done, 1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(byte == 'y');
  {
    const auto mapper = id_mapper::start({100'000, 10});
    REQUIRE_MESSAGE(mapper.ok(), std::string(message(mapper.status())));
    *(*mapper)->child() = child;
    CHECK(ask(**mapper) == 0);
  }
  for (const char* const each : {"/uid_map", "/gid_map"})
    CHECK(*sys::read_file("/proc/" + std::to_string(child) + each) == "         0     100000         10\n");
  {
    const auto again = id_mapper::start({100'000, 10});
    *(*again)->child() = child;
    CHECK(ask(**again) == EPERM);  // ids are mapped once
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("id_mapper: one that is not asked ends with its owner, and a missing child is said" *
          doctest::test_suite("unprivileged")) {
  CHECK(id_mapper::start({1, 1}).ok());
  const auto mapper = id_mapper::start({1, 1});
  *(*mapper)->child() = 0x7fffffff;
  CHECK(ask(**mapper) == ENOENT);
}
