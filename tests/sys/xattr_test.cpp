// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/xattr.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <mortise/sys/fd.hpp>
#include <support/temporary.hpp>

namespace sys = mortise::sys;

TEST_CASE("xattr: through any descriptor, O_PATH too" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  REQUIRE(sys::open(place / "file", O_WRONLY | O_CREAT, 0644).ok());
  for (const int flags : {O_PATH, O_RDONLY}) {
    const sys::unique_fd file = sys::open(place / "file", flags).value();
    const std::string value("a\0b", 3);
    REQUIRE(sys::set_xattr(file.get(), "user.one", value).ok());
    CHECK(sys::set_xattr(file.get(), "user.two", "").ok());
    auto names = sys::list_xattrs(file.get());
    REQUIRE(names.ok());
    std::erase_if(*names, [](const std::string& name) { return !name.starts_with("user."); });
    std::sort(names->begin(), names->end());
    CHECK(*names == std::vector<std::string>{"user.one", "user.two"});
    CHECK(*sys::get_xattr(file.get(), "user.one") == value);
    CHECK(sys::get_xattr(file.get(), "user.two")->empty());
    CHECK(sys::remove_xattr(file.get(), "user.one").ok());
    CHECK(mortise::message(sys::get_xattr(file.get(), "user.one").status()) ==
          "get extended attribute 'user.one': No data available");
    CHECK(!sys::set_xattr(file.get(), "nonsense", "x").ok());
    CHECK(!sys::remove_xattr(file.get(), "user.one").ok());
  }
}

TEST_CASE("xattr: any number of names" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const sys::unique_fd directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY).value();
  const std::string prefix = "user." + std::string(100, 'x');
  for (int each = 0; each < 20; ++each)
    REQUIRE(sys::set_xattr(directory.get(), prefix + std::to_string(each), "").ok());
  const auto names = sys::list_xattrs(directory.get());
  REQUIRE(names.ok());
  CHECK(std::count_if(names->begin(), names->end(), [&](const auto& name) { return name.starts_with(prefix); }) == 20);
}
