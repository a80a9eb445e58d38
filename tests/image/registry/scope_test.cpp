// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/scope.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::image::distribution::scope;
using mortise::image::distribution::scope_set;
using mortise::image::distribution::scopes_for_pull;

TEST_CASE("scope: its three parts") {
  const auto plain = scope::parse("repository:library/busybox:pull,push").value();
  CHECK(plain.type == "repository");
  CHECK(plain.name == "library/busybox");
  CHECK(plain.actions.size() == 2);
  CHECK(scope::parse("repository:host:5000/a/b:pull")->name == "host:5000/a/b");
  CHECK(scope::parse("repository(plugin):a:pull")->type == "repository(plugin)");
  CHECK(scope::parse("registry:catalog:*")->text() == "registry:catalog:*");
  CHECK(scope::parse("repository:a:")->actions.empty());
  CHECK(scope::pull("a/b").text() == "repository:a/b:pull");
  for (const char* const bad :
       {"", "a", "a:b", "::", "Repository:a:pull", "repository::pull", "repository:a b:pull", "repository:a:pull push",
        "repository:a:pull\r\n", "repository:a&service=x:pull", "repository(:a:pull", "repository():a:pull",
        "repository:a:pull,,push", "repository:a:pull repository:b:pull"}) {
    CAPTURE(bad);
    CHECK_FALSE(scope::parse(bad).ok());
  }
  CHECK_FALSE(scope::parse("repository:" + std::string(2000, 'a') + ":pull").ok());
}

TEST_CASE("scope: sets merge, and their text does not depend on order") {
  scope_set one;
  one.add(scope::parse("repository:b:push").value());
  one.add(scope::pull("a"));
  one.add(scope::pull("b"));
  CHECK(one.text() == "repository:a:pull repository:b:pull,push");
  scope_set other;
  other.add(scope::parse("repository:b:pull,push").value());
  CHECK(one.covers(other));
  CHECK_FALSE(other.covers(one));
  other.add(scope::pull("a"));
  CHECK(one == other);
}

TEST_CASE("scope: a challenge cannot widen a pull") {
  const std::vector<std::string> asked{"repository:a:pull,push,delete",
                                       "repository:other/name:pull",
                                       "registry:catalog:*",
                                       "repository:b:*",
                                       "broken",
                                       "repository:c:push"};
  CHECK(scopes_for_pull("a", asked).texts() ==
        std::vector<std::string>{"repository:a:pull", "repository:other/name:pull"});
  std::vector<std::string> many;
  many.reserve(1000);
  for (int each = 0; each < 1000; ++each) many.push_back("repository:r" + std::to_string(each) + ":pull");
  CHECK(scopes_for_pull("a", many).texts().size() == 17);
}
