// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/tags.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::message;
using mortise::image::distribution::next_page;
using mortise::image::distribution::parse_tags;
using mortise::image::distribution::url;

namespace {

/// The next page's address, "none", or what is wrong.
std::string next(const std::vector<std::string>& links) {
  const auto out = next_page(url::parse("https://r.example/v2/x/tags/list?n=2").value(), links);
  if (!out.ok()) return std::string(message(out.status()));
  return *out ? (*out)->text() : "none";
}

}  // namespace

TEST_CASE("tags: the next page") {
  const std::string second = "https://r.example/v2/x/tags/list?last=b&n=2";
  CHECK(next({}) == "none");
  CHECK(next({"</v2/x/tags/list?last=b&n=2>; rel=\"next\""}) == second);
  CHECK(next({"<https://r.example:443/v2/x/tags/list?last=b&n=2>;rel=next"}) == second);
  CHECK(next({"<?last=b&n=2>; rel=next"}) == second);
  CHECK(next({"</a>; rel=prev; title=\"a, <b>; rel=next\", </v2/x/tags/list?last=b&n=2> ; x ; REL = \"last Next\""}) ==
        second);
  CHECK(next({"</a>; rel=prev", "</v2/x/tags/list?last=b&n=2>; rel=next"}) == second);
  CHECK(next({"</a>; rel=prev; rel=next"}) == "none");
  CHECK(next({"</a>; rel=nextish"}) == "none");
  for (const char* const broken : {"", "/a; rel=next", "</a; rel=next", "</a> rel=next", "</a>; rel=\"next",
                                   "</a>; rel=\"next\\", ",,", "<", "</a>;"}) {
    CAPTURE(broken);
    CHECK(next({broken}) == "none");
  }
}

TEST_CASE("tags: a page elsewhere would get our token") {
  CHECK(next({"<https://evil.example/v2/x/tags/list>; rel=next"}) ==
        "go to the next page at https://evil.example: it is not on https://r.example");
  for (const char* const bad : {"http://r.example/v2/x/tags/list", "https://r.example:444/", "//evil.example/",
                                "https://r.example.evil/", "https://r.example@evil.example/", "file:///etc/passwd",
                                "/a b", "/a\r\nHost: evil", "/a\\b", "https://r.example\\@evil.example/", "?n=2"}) {
    CAPTURE(bad);
    const std::string said = next({'<' + std::string(bad) + ">; rel=next"});
    CHECK(said != "none");
    CHECK_FALSE(said.starts_with("https://"));
  }
  CHECK(next({"<?" + std::string(20000, 'a') + ">; rel=next"}).find("longer than") != std::string::npos);
}

TEST_CASE("tags: a page's list") {
  const auto tags = parse_tags(R"({"name":"x","tags":["1.0","latest","../x","a b",""]})", "tags");
  REQUIRE(tags.ok());
  REQUIRE(tags->size() == 2);
  CHECK((*tags)[0].text() == "1.0");
  CHECK(parse_tags(R"({"name":"x","tags":null})", "tags")->empty());
  CHECK(parse_tags("{}", "tags")->empty());
  for (const char* const bad : {"", "[]", R"({"tags":{}})", R"({"tags":[1]})", R"({"tags":["a"],"tags":[]})"})
    CHECK_FALSE(parse_tags(bad, "tags").ok());
  CHECK_FALSE(parse_tags(std::string(1 << 20, '['), "tags").ok());
}
