// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/path_filter.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <string>
#include <support/fork.hpp>
#include <vector>

using mortise::image::appc::path_filter;
using strings = std::vector<std::string>;

TEST_CASE("path filter: a whitelist shows its paths and what leads to them, nothing else") {
  const path_filter all;
  CHECK(all.shows_all());
  CHECK(all.shows("/anything"));
  const path_filter some = all.narrowed({"/usr/bin/map", "/opt", "/a-b/c", "/a/c"});
  for (const char* const path :
       {"/", "", "/usr", "/usr/bin", "/usr/bin/", "/usr/bin/map", "/opt", "/a", "/a-b", "/a/c"}) {
    CAPTURE(path);
    CHECK(some.shows(path));
  }
  for (const char* const path :
       {"/usr/bin/ma", "/usr/bin/map2", "/usr/bin/map/x", "/us", "/opt/x", "/b", "/a-", "/a/b"}) {
    CAPTURE(path);
    CHECK(!some.shows(path));
  }
  CHECK(!all.narrowed({"/"}).shows("/etc"));
  CHECK(all.narrowed({"/"}).shows("/"));
  CHECK(all.narrowed({}) == all);
  CHECK(all.narrowed({"/a", "/b"}).narrowed({"/c"}) == all.narrowed({"/c"}).narrowed({"/b", "/a", "/a"}));
  CHECK(!(all.narrowed({"/a"}) == all.narrowed({"/a"}).narrowed({"/b"})));
}

TEST_CASE("path filter: several lists as one that shows the same") {
  const path_filter all;
  CHECK(all.paths().empty());
  CHECK(all.narrowed({"/b", "/a", "/a/c", "/b"}).paths() == strings{"/a/c", "/b"});
  CHECK(all.narrowed({"/"}).paths() == strings{"/"});
  CHECK(all.narrowed({"/a/b"}).narrowed({"/a/c", "/d"}).paths() == strings{"/a"});
  CHECK(all.narrowed({"/a"}).narrowed({"/b"}).paths() == strings{"/"});
  CHECK(all.narrowed({"/a", "/a-b/x", "/a/b"}).paths() == strings{"/a-b/x", "/a/b"});
  const path_filter both =
      all.narrowed({"/usr/bin/map", "/usr/lib", "/etc"}).narrowed({"/usr/bin", "/usr/lib/x", "/opt"});
  const path_filter again = all.narrowed(both.paths());
  CHECK(both.paths() == strings{"/usr/bin", "/usr/lib"});
  for (const char* const path :
       {"/", "/usr", "/usr/bin", "/usr/bin/map", "/usr/lib", "/usr/lib/x", "/etc", "/opt", "/x"})
    CHECK(both.shows(path) == again.shows(path));
}

TEST_CASE("path filter: many lists of long paths cost no more than reading them") {
  std::string deep;
  while (deep.size() < 4080) deep += "/a";
  strings list;
  for (int each = 0; each < 1000; ++each) list.push_back(deep + '/' + std::to_string(each));
  const auto outcome = support::in_child({.cpu_seconds = 20}, [&] {
    path_filter some;
    for (int each = 0; each < 60; ++each) {
      list.push_back("/z" + std::to_string(each));
      some = some.narrowed(list);
    }
    some = some.narrowed({"/z0"});
    return mortise::join(some.paths(), " ");
  });
  CHECK(outcome.text == "/z0");
}
