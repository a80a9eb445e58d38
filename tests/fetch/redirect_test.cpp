// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/redirect.hpp>

#include <doctest/doctest.h>

namespace fetch = mortise::fetch;

namespace {

absl::StatusOr<fetch::uri> hop(const char* from, const char* location) {
  return fetch::next_hop(*fetch::parse_uri(from), {.status = 302, .headers = {{"lOcAtIoN", location}}});
}

}  // namespace

TEST_CASE("redirect: which answers are one") {
  using fetch::method;
  for (const int status : {301, 302, 303, 307, 308}) {
    CHECK(fetch::is_redirect(method::get, status));
    CHECK(fetch::is_redirect(method::head, status));
    CHECK(!fetch::is_redirect(method::post, status));
  }
  for (const int status : {200, 300, 304, 305, 306, 309, 401}) CHECK(!fetch::is_redirect(method::get, status));
}

TEST_CASE("redirect: where it leads") {
  const std::pair<const char*, const char*> good[] = {
      {"/b", "https://h/b"},
      {"b?q#f", "https://h/x/b?q"},
      {"//other:8443/b", "https://other:8443/b"},
      {"https://h/x/y", "https://h/x/y"},
      {"", "https://h/x/y?z"},
  };
  for (const auto& [location, whole] : good) {
    CAPTURE(location);
    const auto to = hop("https://h/x/y?z", location);
    REQUIRE(to.ok());
    CHECK(fetch::to_string(*to) == whole);
  }
  CHECK(hop("http://h/", "https://h/").ok());
  CHECK(hop("http+unix://%2Fs/a", "/b").ok());
}

TEST_CASE("redirect: where it must not lead") {
  const std::pair<const char*, const char*> bad[] = {
      {"https://h/", "http://h/"},
      {"https://h/", "file:///etc/passwd"},
      {"https://h/", "http+unix://%2Fs/x"},
      {"http://h/", "http+unix://%2Fs/x"},
      {"http://h/", "ftp://h/"},
      {"http+unix://%2Fs/", "http+unix://%2Ft/"},
      {"http+unix://%2Fs/", "http://h/"},
      {"http+unix://%2Fs/", "file:///x"},
  };
  for (const auto& [from, location] : bad) {
    CAPTURE(location);
    CHECK(absl::IsPermissionDenied(hop(from, location).status()));
  }
  CHECK(mortise::message(hop("https://h/?secret", "http://h/?secret").status()).find("secret") ==
        std::string_view::npos);
  for (const char* const location : {"http://u:p@h/", "http://h/a b", "http://", "\r\nX: y"}) {
    CAPTURE(location);
    CHECK(absl::IsFailedPrecondition(hop("http://h/", location).status()));
  }
  CHECK(absl::IsFailedPrecondition(fetch::next_hop(*fetch::parse_uri("http://h/"), {.status = 302}).status()));
}

TEST_CASE("redirect: credentials stay with scheme, host and port") {
  const std::vector<fetch::header> all = {
      {"AUTHORIZATION", "a"}, {"cookie", "b"}, {"Proxy-Authorization", "c"}, {"Accept", "d"}};
  const auto along = [&](const char* from, const char* to) {
    return fetch::headers_along(all, *fetch::parse_uri(from), *fetch::parse_uri(to));
  };
  CHECK(along("https://h/a", "https://h:443/b").size() == 4);
  for (const char* const to : {"https://h:444/", "https://x.h/", "https://i/", "http://h:443/"}) {
    CAPTURE(to);
    const auto left = along("https://h/a", to);
    REQUIRE(left.size() == 1);
    CHECK(left[0].name == "Accept");
  }
}
