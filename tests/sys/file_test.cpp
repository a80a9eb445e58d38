// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/file.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

/// Directories inside each other, made without ever naming more than one.
void dig(const std::string& from, int levels) {
  sys::unique_fd here(::open(from.c_str(), O_RDONLY | O_DIRECTORY));
  for (int level = 0; level < levels; ++level) {
    support::detail::check(::mkdirat(here.get(), "d", 0700) == 0, "dig");
    here.reset(::openat(here.get(), "d", O_RDONLY | O_DIRECTORY));
    support::detail::check(static_cast<bool>(here), "go down");
  }
}

void touch(const std::string& path) { support::detail::check(sys::open(path, O_WRONLY | O_CREAT, 0600).ok(), "touch"); }

bool exists(const std::string& path) {
  struct stat about{};
  return ::lstat(path.c_str(), &about) == 0;
}

}  // namespace

TEST_CASE("remove tree: files, links and what is missing") {
  const support::temporary_directory place;
  touch(place / "file");
  REQUIRE(::symlink((place / "file").c_str(), (place / "link").c_str()) == 0);
  CHECK(sys::remove_tree(place / "link").ok());
  CHECK(exists(place / "file"));
  CHECK(sys::remove_tree(place / "file").ok());
  CHECK_FALSE(exists(place / "file"));
  CHECK(sys::remove_tree(place / "file").ok());
  CHECK(sys::remove_tree(place / "no/such/file").ok());
}

TEST_CASE("remove tree: links are removed, not followed") {
  const support::temporary_directory place;
  REQUIRE(sys::make_directories(place / "outside/kept").ok());
  REQUIRE(sys::make_directories(place / "tree/inner").ok());
  REQUIRE(::symlink((place / "outside").c_str(), (place / "tree/inner/link").c_str()) == 0);
  REQUIRE(::symlink("..", (place / "tree/up").c_str()) == 0);
  CHECK(sys::remove_tree(place / "tree").ok());
  CHECK_FALSE(exists(place / "tree"));
  CHECK(exists(place / "outside/kept"));
}

TEST_CASE("remove tree: deeper than descriptors and stack reach") {
  if (support::missing_root()) return;
  const support::temporary_tmpfs place(1 << 20);  // on a disk this many directories take minutes
  REQUIRE(::mkdir((place / "tree").c_str(), 0700) == 0);
  dig(place / "tree", 30'000);
  const auto removed = support::in_child({.limits = {{RLIMIT_NOFILE, 64}}, .deadline = std::chrono::minutes(3)},
                                         [&] { return sys::remove_tree(place / "tree"); });
  CHECK(removed.text == "");
  CHECK_FALSE(exists(place / "tree"));
}

TEST_CASE("remove tree: wide at every level, around the depth where directories move up") {
  const support::temporary_directory place;
  std::string deep = place / "tree";
  for (int level = 0; level < 70; ++level) {
    REQUIRE(::mkdir(deep.c_str(), 0700) == 0);
    for (int number = 0; number < 3; ++number) {
      REQUIRE(sys::make_directories(concat(deep, "/side-", number, "/inner")).ok());
      touch(concat(deep, "/file-", number));
    }
    deep += "/d";
  }
  CHECK(sys::remove_tree(place / "tree").ok());
  CHECK_FALSE(exists(place / "tree"));
}

TEST_CASE("remove tree: names that are in the way of moving up") {
  const support::temporary_directory place;
  REQUIRE(::mkdir((place / "tree").c_str(), 0700) == 0);
  dig(place / "tree", 200);
  // Made after the chain, so that most file systems list the chain first.
  touch(place / "tree/.removed-1");
  REQUIRE(sys::make_directories(place / "tree/.removed-2/inner").ok());
  REQUIRE(::mkdir((place / "tree/.removed-3").c_str(), 0700) == 0);
  CHECK(sys::remove_tree(place / "tree").ok());
  CHECK_FALSE(exists(place / "tree"));
}

TEST_CASE("remove tree: a directory with more entries than one listing takes, of any names") {
  const support::temporary_directory place;
  REQUIRE(::mkdir((place / "tree").c_str(), 0700) == 0);
  for (int number = 0; number < 3000; ++number) touch(concat(place / "tree/", number));
  for (const char* name : {"\xff\xfe", "\n", " ", "-rf", "..."}) touch(place / "tree/" + name);
  CHECK(sys::remove_tree(place / "tree").ok());
  CHECK_FALSE(exists(place / "tree"));
}

TEST_CASE("remove tree: an owner without privileges gets past modes that lock him out") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chown(place.path().c_str(), support::nobody, support::nobody) == 0);
  const auto removed = support::in_child({.uid = support::nobody}, [&] {
    support::detail::check(sys::make_directories(place / "tree/a/b").ok(), "make");
    touch(place / "tree/a/b/file");
    dig(place / "tree/a", 0);
    support::detail::check(::mkdir((place / "tree/deep").c_str(), 0700) == 0, "make");
    std::string path = place / "tree/deep";
    for (int level = 0; level < 40; ++level) support::detail::check(::mkdir((path += "/d").c_str(), 0700) == 0, "dig");
    for (; path != place / "tree"; path.resize(path.rfind('/'))) ::chmod(path.c_str(), 0);
    for (const char* each : {"tree/a/b", "tree/a", "tree"}) ::chmod((place / each).c_str(), each[4] == 0 ? 0500 : 0);
    return sys::remove_tree(place / "tree");
  });
  CHECK(removed.text == "");
  CHECK_FALSE(exists(place / "tree"));
}

TEST_CASE("remove tree: what cannot be removed is named, and a link's target keeps its mode") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chown(place.path().c_str(), support::nobody, support::nobody) == 0);
  REQUIRE(sys::make_directories(place / "tree/roots/inner").ok());
  REQUIRE(::chown((place / "tree").c_str(), support::nobody, support::nobody) == 0);
  const auto refused = support::in_child({.uid = support::nobody}, [&] { return sys::remove_tree(place / "tree"); });
  CHECK(refused.text == "remove '" + (place / "tree") + "': 'inner': Permission denied");
  CHECK(exists(place / "tree/roots/inner"));
}

TEST_CASE("remove tree: a mount in the tree is an error that names it") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(sys::make_directories(place / "tree/mounted").ok());
  REQUIRE(::mount("tmpfs", (place / "tree/mounted").c_str(), "tmpfs", 0, nullptr) == 0);
  const absl::Status busy = sys::remove_tree(place / "tree");
  CHECK(message(busy) == "remove '" + (place / "tree") + "': 'mounted': Device or resource busy");
  REQUIRE(::umount2((place / "tree/mounted").c_str(), MNT_DETACH) == 0);
  CHECK(sys::remove_tree(place / "tree").ok());
}

TEST_CASE("file: read whole, with a cap" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const sys::unique_fd directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY).value();
  const std::string large(100'000, 'x');
  for (const bool durable : {false, true}) {
    CHECK(sys::replace_file_at(directory.get(), "file", large, durable, 0600).ok());
    CHECK(*sys::read_file(place / "file") == large);
  }
  CHECK(sys::read_file(place / "file", 100'000).ok());
  const auto refused = sys::read_file(place / "file", 99'999);
  CHECK(refused.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(sys::write_file_at(directory.get(), "file", "new").ok());
  CHECK(sys::read_file(place / "file")->starts_with("newx"));
  CHECK(!sys::write_file_at(directory.get(), "none", "x").ok());
  CHECK(!sys::replace_file_at(directory.get(), "no/file", "x").ok());
  std::string names;
  CHECK(sys::for_each_entry(AT_FDCWD, place.path(), [&](std::string_view name, unsigned char) {
          names += name;
          return absl::OkStatus();
        }).ok());
  CHECK(names == "file");
}

TEST_CASE("file: directories with their parents" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  CHECK(sys::make_directories(place / "a/b//c/").ok());
  CHECK(sys::make_directories(place / "a/b/c").ok());
  REQUIRE(sys::open(place / "file", O_WRONLY | O_CREAT, 0644).ok());
  CHECK(mortise::errno_of(sys::make_directories(place / "file/x")) == ENOTDIR);
  CHECK(mortise::errno_of(sys::make_directories(place / "file")) == ENOTDIR);
}
