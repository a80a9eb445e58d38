// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/store_directory.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <image/layout_builder.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using mortise::image::staging;
using mortise::image::store_directory;

namespace {

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> out;
  CHECK(mortise::sys::for_each_entry(AT_FDCWD, path, [&](std::string_view name, unsigned char) {
          out.emplace_back(name);
          return absl::OkStatus();
        }).ok());
  return out;
}

}  // namespace

TEST_CASE("store_directory: it is made with its parents, for its owner only, and opens again") {
  const support::temporary_directory place;
  REQUIRE(store_directory::open(place / "a/b/store").ok());
  struct stat about{};
  REQUIRE(::stat((place / "a/b/store").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0700);
  CHECK(support::read_file(place / "a/b/store/version") == "2\n");
  const auto again = store_directory::open(place / "a/../a/b/store");
  REQUIRE(again.ok());
  CHECK(again->path() == place / "a/b/store");
}

TEST_CASE("store_directory: another version and foreign directories are refused") {
  const support::temporary_directory place;
  REQUIRE(store_directory::open(place / "store").ok());
  support::write_file(place / "store/version", "3\n");
  CHECK(message(store_directory::open(place / "store").status()).find("its version is '3', this library reads 2") !=
        std::string_view::npos);
  support::write_file(place / "something", "x");
  const auto foreign = store_directory::open(place.path());
  CHECK(absl::IsFailedPrecondition(foreign.status()));
  CHECK(message(foreign.status()).find("it is no store, and holds '") != std::string_view::npos);
  CHECK(message(store_directory::open(place / "something").status()).find("Not a directory") != std::string_view::npos);
}

TEST_CASE("store_directory: what somebody else may have put there is not believed" *
          doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  REQUIRE(store_directory::open(place / "store").ok());
  REQUIRE(::chmod((place / "store").c_str(), 0777) == 0);
  const auto shared = store_directory::open(place / "store");
  CHECK(absl::IsPermissionDenied(shared.status()));
  CHECK(message(shared.status()).find("that nobody else can write") != std::string_view::npos);
  REQUIRE(::chmod((place / "store").c_str(), 0700) == 0);
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  CHECK(message(store_directory::open(place / "store").status()).find("everybody could exchange it in '") !=
        std::string_view::npos);
  REQUIRE(::chmod(place.path().c_str(), 0700) == 0);
  CHECK(store_directory::open(place / "store").ok());
}

TEST_CASE("store_directory: a store of version 1 is taken over") {
  const support::temporary_directory place;
  REQUIRE(store_directory::open(place / "store").ok());
  support::write_file(place / "store/version", "1\n");
  support::write_file(place / "store/images/kept", "x");
  for (const char* const part : {"partial", "pins", "leases"})
    REQUIRE(::rmdir((place / ("store/" + std::string(part))).c_str()) == 0);
  REQUIRE(store_directory::open(place / "store").ok());
  CHECK(support::read_file(place / "store/version") == "2\n");
  CHECK(support::read_file(place / "store/images/kept") == "x");
  CHECK(::access((place / "store/leases").c_str(), F_OK) == 0);
}

TEST_CASE("store_directory: another user's is refused") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(store_directory::open(place / "store").ok());
  const auto result =
      support::in_child({.uid = support::nobody}, [&] { return store_directory::open(place / "store").status(); });
  CHECK(result.text.find("open image store '") != std::string::npos);
  CHECK(result.text.find("it must be a directory of the caller's own") != std::string::npos);
}

TEST_CASE("store_directory: many processes may make it at once") {
  const support::temporary_directory place;
  for (int round = 0; round < 10; ++round) {
    const std::string path = place / ("store" + std::to_string(round));
    std::vector<pid_t> children;
    for (int each = 0; each < 4; ++each) {
      children.push_back(::fork());
      if (children.back() == 0) ::_exit(store_directory::open(path).ok() ? 0 : 1);
    }
    for (const pid_t child : children) {
      int status = -1;
      CHECK(::waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    }
  }
}

TEST_CASE("store_directory: files are published whole, and replace what was there") {
  const support::temporary_directory place;
  const auto store = store_directory::open(place / "store");
  {
    const auto room = store->stage();
    REQUIRE(room.ok());
    CHECK(store->publish_file(*room, "images/x", "first").ok());
    CHECK(store->publish_file(*room, "images/x", "second").ok());
    const absl::Status lost = store->publish_file(*room, "nowhere/x", "third");
    CHECK(message(lost).find("store/nowhere/x': rename: No such file") != std::string_view::npos);
  }
  CHECK(support::read_file(place / "store/images/x") == "second");
  CHECK(names_in(place / "store/staging").empty());
}

TEST_CASE("store_directory: the second of two equal directories gives way") {
  const support::temporary_directory place;
  const auto store = store_directory::open(place / "store");
  const auto room = store->stage();
  for (const char* const name : {"one", "two"}) {
    REQUIRE(::mkdirat(room->fd(), name, 0700) == 0);
    REQUIRE(::mkdirat(room->fd(), (std::string(name) + "/tree").c_str(), 0700) == 0);
  }
  CHECK(store->publish_directory(*room, "one", "layers/x").value());
  CHECK_FALSE(store->publish_directory(*room, "two", "layers/x").value());
}

TEST_CASE("store_directory: staging of the living stays, that of the dead goes") {
  const support::temporary_directory place;
  const auto store = store_directory::open(place / "store");
  const auto mine = store->stage();
  REQUIRE(mine.ok());
  auto ends = mortise::sys::make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto other = store->stage();
    ::mkdirat(other->fd(), "half", 0);
    mortise::sys::write_all(ends->write.get(), "x").IgnoreError();
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ends->read.get(), &byte, 1) == 1);
  REQUIRE(store_directory::open(place / "store").ok());
  CHECK(names_in(place / "store/staging").size() == 2);
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  support::write_file(place / "store/locks/overlay-left", "");
  REQUIRE(store_directory::open(place / "store").ok());
  CHECK(names_in(place / "store/staging").size() == 1);
  CHECK(names_in(place / "store/locks").empty());
}
