// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/endpoint.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::message;
using mortise::image::distribution::endpoint;
using mortise::image::distribution::endpoints_of;
using mortise::image::distribution::registry_settings;
using mortise::model::reference;

namespace {

std::vector<endpoint> of(const char* name, const std::vector<registry_settings>& all = {}) {
  const auto out = endpoints_of(reference::parse(name).value(), all);
  REQUIRE_MESSAGE(out.ok(), message(out.status()));
  return *out;
}

/// "base repository credentials" of each, joined by '|'.
std::string brief(const std::vector<endpoint>& all) {
  std::string out;
  for (const endpoint& each : all)
    out += (out.empty() ? "" : "|") + each.base.text() + ' ' + each.repository + ' ' + each.credential_name.text();
  return out;
}

std::string refusal(const std::string& mirror, bool plain_http = false) {
  const auto out =
      endpoints_of(reference::parse("r.example/x").value(),
                   {{.registry = "r.example", .mirrors = {{.address = mirror, .plain_http = plain_http}}}});
  return out.ok() ? "accepted" : std::string(message(out.status()));
}

const std::string hex(64, 'a');

}  // namespace

TEST_CASE("endpoint: a registry is spoken to over TLS, and docker.io at its other name") {
  CHECK(brief(of("busybox")) == "https://registry-1.docker.io/v2/ library/busybox docker.io/library/busybox");
  CHECK(brief(of("r.example:5000/a/b:1")) == "https://r.example:5000/v2/ a/b r.example:5000/a/b");
  CHECK(brief(of("10.0.0.1/x")) == "https://10.0.0.1/v2/ x 10.0.0.1/x");
  CHECK(brief(of("r.example/x", {{.registry = "R.example", .plain_http = true}})) ==
        "http://r.example/v2/ x r.example/x");
  CHECK(brief(of("r.example:5000/x", {{.registry = "r.example", .plain_http = true}})) ==
        "https://r.example:5000/v2/ x r.example:5000/x");
}

TEST_CASE("endpoint: on this machine http follows where nothing speaks TLS") {
  for (const char* const host : {"localhost:5000", "127.0.0.1:5000", "[::1]:5000"}) {
    CAPTURE(host);
    const std::string at(host);
    const auto both = of((at + "/x").c_str());
    CHECK(brief(both) == mortise::concat("https://", at, "/v2/ x ", at, "/x|http://", at, "/v2/ x ", at, "/x"));
    CHECK_FALSE(both[0].only_if_unreachable);
    CHECK(both[1].only_if_unreachable);
  }
  const auto plain = of("localhost:5000/x", {{.registry = "localhost:5000", .plain_http = true}});
  CHECK(brief(plain) == "http://localhost:5000/v2/ x localhost:5000/x");
  CHECK_FALSE(plain[0].only_if_unreachable);
  CHECK(of("localhost.example.com/x").size() == 1);
  CHECK(of("127.example.com/x").size() == 1);
  CHECK_FALSE(endpoints_of(reference::parse("127.1/x").value()).ok());
}

TEST_CASE("endpoint: mirrors go first, in order, and have credentials of their own only") {
  const std::vector<registry_settings> all{
      {.registry = "docker.io",
       .mirrors = {{.address = "mirror.example/hub", .add_namespace = true},
                   {.address = "https://other.example:5000/", .resolves_tags = false},
                   {.address = "http://cache.lan", .plain_http = true}},
       .realms = {"auth.corp.example"}}};
  const auto found = of("busybox", all);
  CHECK(brief(found) ==
        "https://mirror.example/v2/ hub/library/busybox mirror.example/hub/library/busybox|"
        "https://other.example:5000/v2/ library/busybox other.example:5000/library/busybox|"
        "http://cache.lan/v2/ library/busybox cache.lan/library/busybox|"
        "https://registry-1.docker.io/v2/ library/busybox docker.io/library/busybox");
  CHECK(found[0].origin_registry == "docker.io");
  CHECK(found[1].origin_registry.empty());
  CHECK(found[3].origin_registry.empty());
  CHECK_FALSE(found[1].resolves_tags);
  CHECK(found[2].is_mirror);
  CHECK_FALSE(found[3].is_mirror);
  // A mirror's challenge must not be able to name the registry's token server.
  CHECK(found[0].realms.empty());
  CHECK(found[3].realms == std::vector<std::string>{"auth.corp.example"});
}

TEST_CASE("endpoint: a mirror whose name could be a path of docker.io gets nothing of docker.io's") {
  const auto at = [](const char* address) {
    return of("r.example/x", {{.registry = "r.example", .mirrors = {{.address = address}}}})[0].credential_name.text();
  };
  CHECK(at("mirror") == "mirror:443/x");
  CHECK(at("library") == "library:443/x");
  CHECK(at("Mirror/y") == "mirror:443/y/x");
  CHECK(at("mirror:5000") == "mirror:5000/x");
  CHECK(at("mirror.example") == "mirror.example/x");
  // docker.io as a mirror is docker.io.
  CHECK(at("docker.io") == "docker.io/library/x");
  CHECK(brief(of("r.example/x", {{.registry = "r.example", .mirrors = {{.address = "docker.io"}}}}))
            .starts_with("https://registry-1.docker.io/v2/ x docker.io/library/x|"));
}

TEST_CASE("endpoint: mirrors on this machine") {
  const auto at = [](const char* address) {
    return brief(
        of("r.example/x", {{.registry = "r.example", .mirrors = {{.address = address}}, .mirrors_only = true}}));
  };
  CHECK(at("localhost:5000") ==
        "https://localhost:5000/v2/ x localhost:5000/x|http://localhost:5000/v2/ x localhost:5000/x");
  CHECK(at("http://localhost:5000") == "http://localhost:5000/v2/ x localhost:5000/x");
  CHECK(at("https://localhost:5000") == "https://localhost:5000/v2/ x localhost:5000/x");
}

TEST_CASE("endpoint: mirrors written wrongly are refused") {
  CHECK(refusal("http://mirror.example").find("plain http on another machine (set plain_http") != std::string::npos);
  CHECK(refusal("https://mirror.example", true).find("it says https:// and plain_http") != std::string::npos);
  CHECK(refusal("ftp://mirror.example").find("neither https nor http") != std::string::npos);
  for (const char* const bad : {"", "/", "https://", "https:///x", "mirror.example/../x", "mirror.example/a//b",
                                "mirror.example/Upper", "mirror.example?x", "mirror.example/x?y", "mirror.example#x",
                                "mirror example", "mirror.example\r\nHost: x", "127.1"}) {
    CAPTURE(bad);
    CHECK(refusal(bad).starts_with("read mirror '"));
  }
  CHECK(refusal("https://user:hunter2@mirror.example") ==
        "read mirror 'mirror.example': it does not begin with a host[:port]");
}

TEST_CASE("endpoint: somebody has to be left to ask") {
  const auto said = [](const std::string& name, const registry_settings& settings) {
    const auto out = endpoints_of(reference::parse(name).value(), {settings});
    return out.ok() ? "accepted" : std::string(message(out.status()));
  };
  CHECK(said("r.example/x", {.registry = "r.example", .mirrors_only = true}) ==
        "find a server for 'r.example/x:latest': only mirrors may be asked, and there is none (add one, or name a "
        "digest)");
  const registry_settings silent{
      .registry = "r.example", .mirrors = {{.address = "m.example", .resolves_tags = false}}, .mirrors_only = true};
  CHECK(said("r.example/x", silent).find("none may resolve a tag") != std::string::npos);
  CHECK(said("r.example/x@sha256:" + hex, silent) == "accepted");
}
