// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/xattr_set.hpp>

#include <doctest/doctest.h>

#include <string>
#include <support/fork.hpp>
#include <vector>

using namespace mortise;
using list = std::vector<archive::xattr>;

TEST_CASE("a set of attributes is a header and the attributes, each filled up to four bytes") {
  const auto one = erofs::encode_xattrs(list{{"user.a", "xy"}}, true);
  REQUIRE(one.ok());
  CHECK(*one == std::string(12, '\0') + std::string("\1\1\2\0", 4) + "axy" + '\0');
  CHECK(*erofs::encode_xattrs(list{}, true) == "");
}

TEST_CASE("what an image may not have, or a file of its type, or EROFS, is left out") {
  CHECK(*erofs::encode_xattrs(list{{"trusted.overlay.opaque", "y"}, {"security.selinux", "x"}}, true) == "");
  CHECK(*erofs::encode_xattrs(list{{"user.a", "x"}}, false) == "");
  CHECK(*erofs::encode_xattrs(list{{"trusted.a", "x"}}, false) != "");
  CHECK(*erofs::encode_xattrs(list{{"unknown.a", "x"}}, true) == "");
  CHECK(*erofs::encode_xattrs(list{{"user.a", "1"}, {"user.a", "2"}}, true) ==
        *erofs::encode_xattrs(list{{"user.a", "2"}}, true));
}

TEST_CASE("what has no form is refused by name") {
  CHECK(message(erofs::encode_xattrs(list{{"user." + std::string(256, 'n'), ""}}, true).status())
            .find("a name of more than 255 bytes") != std::string_view::npos);
  CHECK(message(erofs::encode_xattrs(list{{"user.v", std::string(65536, 'v')}}, true).status()) ==
        "its attribute 'user.v' has a value of more than 65535 bytes");
  list many;
  for (int each = 0; each < 5; ++each) many.push_back({"user." + std::to_string(each), std::string(60'000, 'v')});
  CHECK(absl::IsResourceExhausted(erofs::encode_xattrs(many, true).status()));
}

TEST_CASE("many attributes are taken in the time of as many") {
  list many;
  for (int each = 0; each < 500'000; ++each) many.push_back({"unknown." + std::to_string(each), ""});
  const auto outcome =
      support::in_child({.cpu_seconds = 60}, [&] { return erofs::encode_xattrs(many, true).value_or("refused"); });
  CHECK(outcome.text == "");
  CHECK(outcome.code == 0);  // else SIGXCPU
}
