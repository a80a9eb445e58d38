// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/path_filter.hpp>

#include <doctest/doctest.h>

#include <string>
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
