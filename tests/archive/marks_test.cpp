// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/marks.hpp>

#include <doctest/doctest.h>

#include <string>
#include <support/temporary.hpp>

using mortise::archive::marks;
using mortise::archive::presence;

TEST_CASE_TEMPLATE("archive::marks says that a name is deleted, and that a directory hides what is below", Format,
                   mortise::model::unprivileged_overlay_layers, mortise::model::aufs_layers) {
  const support::temporary_directory place;
  const mortise::sys::unique_fd directory = *mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  const int at = directory.get();
  constexpr marks form = marks::of<Format>();
  CHECK(form.by_names() == mortise::model::marked_by_names<Format>);
  struct stat about{};
  CHECK(*form.find(at, "name", about) == presence::missing);
  CHECK_FALSE(form.is_deleted(at, "name"));

  REQUIRE(form.make_whiteout(at, "name").ok());
  CHECK(*form.find(at, "name", about) == presence::deleted);
  const std::string entry = form.by_names() ? ".wh.name" : "name";
  REQUIRE(::fstatat(at, entry.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0);
  CHECK(form.is_whiteout(entry, about));
  CHECK(form.withdraw(at, "name") == form.by_names());
  CHECK_FALSE(form.withdraw(at, "name"));

  CHECK_FALSE(form.is_opaque(at));
  REQUIRE(form.make_opaque(at).ok());
  CHECK(form.is_opaque(at));
  REQUIRE(form.make_opaque(at).ok());

  REQUIRE(::mkdirat(at, "there", 0700) == 0);
  CHECK(*form.find(at, "there", about) == presence::there);
  CHECK(S_ISDIR(about.st_mode));
}

TEST_CASE("archive::marks names what could not be marked") {
  const marks form = marks::of<mortise::model::aufs_layers>();
  CHECK(mortise::message(form.make_whiteout(-1, "x")) == "make whiteout: create '.wh.x': Bad file descriptor");
  CHECK(mortise::message(form.make_opaque(-1)) == "make opaque: create '.wh..wh..opq': Bad file descriptor");
}
