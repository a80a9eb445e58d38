// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/realm.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::message;
using mortise::image::distribution::check_realm;
using mortise::image::distribution::may_send_credentials;
using mortise::image::distribution::url;

namespace {

url address(const char* text) { return url::parse(text).value(); }

bool sends(const char* realm, const char* registry, const std::vector<std::string>& allowed = {}) {
  return may_send_credentials(address(realm), address(registry), allowed);
}

}  // namespace

TEST_CASE("realm: those that registries have") {
  for (const auto& [realm, registry] : std::vector<std::pair<const char*, const char*>>{
           {"https://auth.docker.io/token", "https://registry-1.docker.io/v2/"},
           {"https://ghcr.io/token", "https://ghcr.io/v2/"},
           {"https://gitlab.com/jwt/auth", "https://registry.gitlab.com/v2/"},
           {"https://gitlab.example.com/jwt/auth", "https://gitlab.example.com:5050/v2/"},
           {"https://auth.registry.example.com/", "https://registry.example.com/v2/"},
           {"http://127.0.0.1:5001/token", "http://localhost:5000/v2/"},
           {"https://10.0.0.1/token", "https://10.0.0.1:5000/v2/"},
           {"http://registry.lan:5001/token", "http://registry.lan:5000/v2/"}}) {
    CAPTURE(realm);
    CHECK(check_realm(realm, address(registry)).ok());
    CHECK(sends(realm, registry));
  }
}

TEST_CASE("realm: hostile ones get no request") {
  const url registry = address("https://registry.example.com/v2/");
  for (const char* const each :
       {"", "token", "/token", "file:///etc/passwd", "ftp://registry.example.com/", "http://registry.example.com/token",
        "http://evil.example/token", "https://127.0.0.1/token", "https://localhost/token", "https://[::1]/token",
        "https://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "https://[fd00::1]/", "https://2130706433/",
        "https://[::ffff:a9fe:a9fe]/", "https://registry.example.com@evil.example/", "https://a/\r\nHost: b",
        "https://evil.example\\.registry.example.com/"}) {
    CAPTURE(each);
    CHECK_FALSE(check_realm(each, registry).ok());
  }
  CHECK(message(check_realm("http://evil.example/t?secret", registry).status()) ==
        "ask for a token of https://registry.example.com at 'http://evil.example/t': it is not https, and the registry "
        "is");
  // A registry on this machine over http may not send us elsewhere in clear either.
  CHECK_FALSE(check_realm("http://evil.example/token", address("http://localhost:5000/")).ok());
  CHECK_FALSE(check_realm("https://127.0.0.1/token", address("https://10.0.0.1/")).ok());
  CHECK(check_realm("https://10.0.0.2/token", address("https://10.0.0.1/")).ok());
}

TEST_CASE("realm: credentials stay at home") {
  CHECK_FALSE(sends("https://evil.example/token", "https://registry.example.com/"));
  CHECK_FALSE(sends("https://evilregistry.example.com/", "https://registry.example.com/"));
  CHECK_FALSE(sends("https://auth.example.com/", "https://registry.example.com/"));
  CHECK_FALSE(sends("https://evil.co.uk/", "https://registry.co.uk/"));
  CHECK_FALSE(sends("https://com/", "https://registry.com/"));
  CHECK_FALSE(sends("http://ghcr.io/token", "https://ghcr.io/"));
  CHECK_FALSE(sends("https://auth.docker.io/token", "https://evil.example/"));
  CHECK_FALSE(sends("https://1.10.0.0.1.example/", "https://10.0.0.1/"));
  // Anonymous tokens may come from elsewhere.
  CHECK(check_realm("https://auth.example.com/", address("https://registry.example.com/")).ok());
}

TEST_CASE("realm: the user's list widens and narrows") {
  const std::vector<std::string> allowed{"Auth.example.com", "10.0.0.7"};
  const url registry = address("https://registry.example.com/");
  CHECK(check_realm("https://auth.example.com/t", registry, allowed).ok());
  CHECK(check_realm("https://10.0.0.7/t", registry, allowed).ok());
  CHECK(check_realm("https://registry.example.com/t", registry, allowed).ok());
  CHECK_FALSE(check_realm("https://other.example/t", registry, allowed).ok());
  CHECK_FALSE(check_realm("http://auth.example.com/t", registry, allowed).ok());
  CHECK(sends("https://auth.example.com/t", "https://registry.example.com/", allowed));
  CHECK_FALSE(sends("http://auth.example.com/t", "https://registry.example.com/", allowed));
}
