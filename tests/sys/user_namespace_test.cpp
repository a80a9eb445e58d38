// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/user_namespace.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("user_namespace: has the map, and no process") {
  if (support::missing_root()) return;
  const auto users = sys::make_user_namespace("0 100000 65536\n");
  REQUIRE_MESSAGE(users.ok(), std::string(message(users.status())));
  const auto seen = support::in_child({}, [&]() -> std::string {
    if (::setns(users->get(), CLONE_NEWUSER) != 0) return "setns";
    return *sys::read_file("/proc/self/uid_map");
  });
  CHECK(seen.text == "         0     100000      65536\n");
  CHECK(message(sys::make_user_namespace("0 1\n").status()).find("make user namespace: write '0 1") == 0);
}

TEST_CASE("user_namespace: the copy of a mount shows the ids that it maps") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto users = sys::make_user_namespace("0 100000 10\n");
  REQUIRE(users.ok());
  const auto tree = sys::clone_mapped(place.path(), users->get());
  if (errno_of(tree.status()) == EINVAL) return support::skip(message(tree.status()));
  REQUIRE_MESSAGE(tree.ok(), std::string(message(tree.status())));
  struct stat about{};
  REQUIRE(::fstat(tree->get(), &about) == 0);
  CHECK(about.st_uid == 100'000);
  CHECK(message(sys::clone_mapped("/nowhere", users->get()).status()) == "share '/nowhere': No such file or directory");
  CHECK(message(sys::clone_mapped("/proc/1", users->get()).status()).find("map ids of '/proc/1': Invalid argument") ==
        0);
}
