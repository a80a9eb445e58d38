// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/cursor.hpp>

#include <doctest/doctest.h>

#include <archive/tree.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::archive::cursor;
using mortise::archive::step_result;

namespace {

constexpr auto form = mortise::archive::marks::of<mortise::model::unprivileged_overlay_layers>();

struct place {
  support::temporary_directory directory;
  mortise::sys::unique_fd fd = *mortise::sys::open(directory.path(), O_RDONLY | O_DIRECTORY);
};

}  // namespace

TEST_CASE("archive::cursor goes down by names and up towards others") {
  const place root;
  REQUIRE(mortise::sys::make_directories(root.directory / "a/b/c").ok());
  REQUIRE(mortise::sys::make_directories(root.directory / "a/bc").ok());
  cursor where(root.fd.get(), form);
  CHECK(where.path() == "");
  CHECK(where.fd() == root.fd.get());
  CHECK(*where.descend("a") == step_result::entered);
  CHECK(*where.descend("b") == step_result::entered);
  CHECK(*where.descend("c") == step_result::entered);
  CHECK(where.path() == "a/b/c");
  CHECK(where.ascend_towards("a/b/c/d/e").ok());
  CHECK(where.path() == "a/b/c");
  CHECK(where.ascend_towards("a/bc").ok());  // not below "a/b", though it begins so
  CHECK(where.path() == "a");
  CHECK(where.ascend_towards("b").ok());
  CHECK(where.path() == "");
  CHECK(where.finish().ok());
}

TEST_CASE("archive::cursor never passes a symbolic link") {
  const place root;
  REQUIRE(mortise::sys::make_directories(root.directory / "real").ok());
  REQUIRE(::symlink("real", (root.directory / "soft").c_str()) == 0);
  REQUIRE(::symlink("/", (root.directory / "out").c_str()) == 0);
  REQUIRE(::mkfifo((root.directory / "pipe").c_str(), 0600) == 0);
  cursor where(root.fd.get(), form);
  CHECK(*where.descend("soft") == step_result::not_a_directory);
  CHECK(*where.descend("out") == step_result::not_a_directory);
  CHECK(*where.descend("pipe") == step_result::not_a_directory);
  CHECK(*where.descend("nothing") == step_result::missing);
  CHECK(where.path() == "");
}

TEST_CASE("archive::cursor gives a directory back the times it had, or those it is told") {
  const place root;
  REQUIRE(mortise::sys::make_directories(root.directory / "a/b").ok());
  const timespec old[] = {{100, 1}, {200, 2}};
  REQUIRE(::utimensat(root.fd.get(), "a", old, 0) == 0);
  cursor where(root.fd.get(), form);
  REQUIRE(*where.descend("a") == step_result::entered);
  where.touch();
  REQUIRE(::mkdirat(where.fd(), "new", 0755) == 0);
  REQUIRE(*where.descend("b") == step_result::entered);
  where.set_final(0741, {300, 3}, {400, 4});
  REQUIRE(::mkdirat(where.fd(), "new", 0755) == 0);
  CHECK(where.finish().ok());
  const support::tree tree(root.directory.path());
  CHECK(tree.about("a").st_mtim.tv_sec == 200);
  CHECK(tree.about("a").st_mtim.tv_nsec == 2);
  CHECK(tree.about("a/b").st_mtim.tv_sec == 400);
  CHECK((tree.about("a/b").st_mode & 07777U) == 0741);
}

TEST_CASE("archive::cursor knows where lower layers do not show") {
  if (support::missing_root()) return;
  const place root;
  REQUIRE(mortise::sys::make_directories(root.directory / "a/b").ok());
  REQUIRE(mortise::sys::make_directories(root.directory / "c").ok());
  cursor where(root.fd.get(), form);
  REQUIRE(where.descend("a").ok());
  CHECK_FALSE(where.hides_lower());
  CHECK(where.hide_lower().ok());
  CHECK(where.hides_lower());
  REQUIRE(where.descend("b").ok());
  CHECK(where.hides_lower());
  REQUIRE(where.ascend_towards("c").ok());
  CHECK_FALSE(where.hides_lower());
  REQUIRE(where.descend("c").ok());
  CHECK_FALSE(where.hides_lower());
  REQUIRE(where.ascend_towards("a/b").ok());
  REQUIRE(where.descend("a").ok());
  CHECK(where.hides_lower());  // also when it comes back
  CHECK(where.finish().ok());
}
