// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/uri.hpp>

#include <doctest/doctest.h>

#include <string>

namespace fetch = mortise::fetch;

namespace {

std::string resolved(std::string_view reference) {
  const auto base = fetch::parse_uri("http://a/b/c/d;p?q");
  const auto out = fetch::resolve(*base, reference);
  return out.ok() ? fetch::to_string(*out) : std::string(mortise::message(out.status()));
}

}  // namespace

TEST_CASE("uri: its parts") {
  const auto all = fetch::parse_uri("HTTPS://Example.COM:8443/v2/%41b?a=b?c/d#part");
  REQUIRE(all.ok());
  CHECK(all->scheme == "https");
  CHECK(all->host == "example.com");
  CHECK(all->port == 8443);
  CHECK(all->path == "/v2/%41b");
  CHECK(all->query == "a=b?c/d");
  CHECK(fetch::to_string(*all) == "https://example.com:8443/v2/%41b?a=b?c/d");

  const auto six = fetch::parse_uri("http://[::1]:80");
  REQUIRE(six.ok());
  CHECK(six->host == "[::1]");
  CHECK(six->port == 80);
  CHECK(six->path.empty());

  const auto file = fetch::parse_uri("file:///etc/x");
  REQUIRE(file.ok());
  CHECK(file->host == "");
  CHECK(file->path == "/etc/x");
  CHECK(!fetch::parse_uri("p2p:abc")->host);
  CHECK(fetch::parse_uri("HTTP+unix://%2Frun%2FMy.sock/v1")->host == "%2Frun%2FMy.sock");
}

TEST_CASE("uri: what is shown of it has no query") {
  CHECK(fetch::shown(*fetch::parse_uri("https://h:1/p?X-Amz-Signature=secret")) == "https://h:1/p");
}

TEST_CASE("uri: what is not one is refused") {
  for (const char* const bad : {"",
                                "x",
                                "/x",
                                "//host/x",
                                ":x",
                                "1a:x",
                                "h_p://x",
                                "http:",
                                "http:///x",
                                "http://:80/",
                                "http://h:0/",
                                "http://h:65536/",
                                "http://h:+1/",
                                "http://h:8x/",
                                "http://h:1:2/",
                                "http://[::1/",
                                "http://[x]/",
                                "http://[1]/",
                                "http://[:::::]/",
                                "http://[::1%25lo]/",
                                "http://[::1]x/",
                                "http://h /",
                                "http://h/a b",
                                "http://h/\r\nX: y",
                                "http://h/%4",
                                "http://h/%zz",
                                "http://h/?%",
                                "http://h/#%",
                                "http://h/#a#b",
                                "http://h/\\x",
                                "http://h\\x/",
                                "http://h/\xc3\xa4",
                                "http://h/<"}) {
    CAPTURE(bad);
    CHECK(fetch::parse_uri(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(!fetch::parse_uri(std::string_view("http://h/\0x", 11)).ok());
  CHECK(!fetch::parse_uri(std::string_view("http://[::1\0evil]/", 18)).ok());
  CHECK(!fetch::parse_uri("http://h/" + std::string(fetch::longest_uri, 'a')).ok());
}

TEST_CASE("uri: credentials inside are refused and not shown") {
  for (const char* const bad : {"https://user:secret@h/", "https://secret@h", "https://h@secret@x/"}) {
    const auto out = fetch::parse_uri(bad);
    REQUIRE(!out.ok());
    CHECK(mortise::message(out.status()).find("password") != std::string_view::npos);
    CHECK(mortise::message(out.status()).find("secret") == std::string_view::npos);
  }
  CHECK(resolved("//u:p@h/").find("password") != std::string::npos);
}

TEST_CASE("uri: references are resolved as RFC 3986 section 5.4 lists them") {
  const std::pair<const char*, const char*> examples[] = {
      {"g:h", "g:h"},
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../../g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g..", "http://a/b/c/g.."},
      {"./g/.", "http://a/b/c/g/"},
      {"g/../h", "http://a/b/c/h"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
  };
  for (const auto& [reference, whole] : examples) {
    CAPTURE(reference);
    CHECK(resolved(reference) == whole);
  }
  CHECK(resolved("1:x").find("misspelt") != std::string::npos);
  CHECK(resolved("///x").find("no host") != std::string::npos);
  CHECK(resolved("/a b").find("path") != std::string::npos);
}

TEST_CASE("uri: no path becomes a host when it is written down") {
  const auto base = fetch::parse_uri("file:/a/b");
  for (const char* const bad : {"/..//evil/x", "/.//evil", "..//..//evil"}) {
    CAPTURE(bad);
    const auto out = fetch::resolve(*base, bad);
    CHECK(mortise::message(out.status()).find("no host") != std::string_view::npos);
  }
  const auto with_host = fetch::resolve(*fetch::parse_uri("http://h/a"), "/..//x");
  CHECK(fetch::to_string(*with_host) == "http://h//x");
}

TEST_CASE("uri: an origin is scheme, host and port") {
  const auto same = [](const char* left, const char* right) {
    return fetch::same_origin(*fetch::parse_uri(left), *fetch::parse_uri(right));
  };
  CHECK(same("https://H/a", "https://h:443/b"));
  CHECK(!same("https://h/", "http://h/"));
  CHECK(!same("https://h/", "https://h:444/"));
  CHECK(!same("https://h/", "https://sub.h/"));
}
