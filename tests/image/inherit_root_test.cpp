// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/inherit_root.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>

#include <mortise/sys/fd.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace {
mortise::sys::unique_fd directory(const std::string& path) {
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  return mortise::sys::open(path, O_RDONLY | O_DIRECTORY).value();
}
}  // namespace

TEST_CASE("inherit_root: equal roots differ in their times only") {
  const support::temporary_directory place;
  const auto below = directory(place / "below");
  const auto root = directory(place / "root");
  const timespec times[] = {{100, 0}, {200, 5}};
  REQUIRE(::futimens(below.get(), times) == 0);
  CHECK_FALSE(mortise::image::inherit_root(below.get(), root.get()).value());
  struct stat now{};
  REQUIRE(::fstat(root.get(), &now) == 0);
  CHECK(now.st_mtim.tv_sec == 200);
  CHECK(now.st_mtim.tv_nsec == 5);
}

TEST_CASE("inherit_root: owner, mode and attributes are taken over, overlayfs' own are not") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto below = directory(place / "below");
  const auto root = directory(place / "root");
  REQUIRE(::fchown(below.get(), 12, 34) == 0);
  REQUIRE(::fchmod(below.get(), 01770) == 0);
  REQUIRE(mortise::sys::set_xattr(below.get(), "user.note", "kept").ok());
  REQUIRE(mortise::sys::set_xattr(below.get(), "trusted.overlay.opaque", "y").ok());
  CHECK(mortise::image::inherit_root(below.get(), root.get()).value());
  struct stat now{};
  REQUIRE(::fstat(root.get(), &now) == 0);
  CHECK(now.st_uid == 12);
  CHECK(now.st_gid == 34);
  CHECK((now.st_mode & 07777) == 01770);
  CHECK(mortise::sys::get_xattr(root.get(), "user.note").value() == "kept");
  CHECK_FALSE(mortise::sys::get_xattr(root.get(), "trusted.overlay.opaque").ok());
}
