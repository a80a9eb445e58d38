// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/credentials.hpp>

#include <doctest/doctest.h>

#include <array>

namespace sys = mortise::sys;

namespace {
std::optional<sys::passwd_entry> by_name(std::string_view text, std::string_view name) {
  return sys::find_passwd(text, [name](const sys::passwd_entry& each) { return each.name == name; });
}
}  // namespace

TEST_CASE("credentials: ids" * doctest::test_suite("unprivileged")) {
  CHECK(sys::parse_id("0") == 0U);
  CHECK(sys::parse_id("4294967294") == 4294967294U);
  for (const char* const bad : {"", "-1", "+1", " 1", "1a", "4294967295", "4294967296"}) CHECK(!sys::parse_id(bad));
}

TEST_CASE("credentials: the first well-formed line counts" * doctest::test_suite("unprivileged")) {
  const std::string_view text =
      "\n:::\nu\nu:x\nu:x:one:1::/\nu:x:4294967295:1::/\nu:x:5:6:gecos:/home\nu:x:7:8::/\nlast:x:9:9";
  const auto found = by_name(text, "u");
  REQUIRE(found);
  CHECK((found->uid == 5 && found->gid == 6 && found->home == "/home"));
  CHECK(by_name(text, "last")->home == "");
  CHECK(!by_name(text, "none"));
  CHECK(!by_name("", "u"));
}

TEST_CASE("credentials: groups and memberships" * doctest::test_suite("unprivileged")) {
  const std::string_view text = "a:x:1:u,v\nb:x:x:u\nc:x:3:v,u,u\nd:x:4:\ne:x:1:u\nf:x:6:uu\ng:x:7:u";
  CHECK(sys::find_group(text, "c") == 3U);
  CHECK(!sys::find_group(text, "b"));
  CHECK(!sys::find_group(text, ""));
  std::array<std::uint32_t, 8> groups{};
  CHECK(sys::find_memberships(text, "u", groups, 0) == 3);
  CHECK((groups[0] == 1 && groups[1] == 3 && groups[2] == 7));
  CHECK(sys::find_memberships(text, "u", std::span(groups).first(2), 0) == 2);
  CHECK(sys::find_memberships(text, "nobody", groups, 0) == 0);
}
