// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/servers.hpp>

#include <doctest/doctest.h>

#include <image/registry/fake_registry.hpp>
#include <image/registry/token_server.hpp>
#include <string>
#include <string_view>
#include <vector>

using absl::StatusCode;
using mortise::message;
using mortise::image::distribution::mirror;
using mortise::image::distribution::secret;
using support::blob_of;
using support::client_of;
using support::collect;
using support::fake_registry;
using support::http_connection;
using support::http_request;
using support::test_options;
namespace media = mortise::image::media;

namespace {

using words = std::vector<std::string>;

/// A registry with an image, and mirrors that may have it too.
struct fixture {
  std::string content = support::numbered_bytes(200'000);  // what servers send outlives them
  std::string manifest;
  fake_registry origin;
  fake_registry first;
  fake_registry second;

  fixture() {
    for (fake_registry* const each : {&origin, &first, &second}) {
      manifest = each->put_image({support::plain_layer("tar")});
      each->put_blob(content);
    }
  }

  [[nodiscard]] support::distribution::registry_options options() const {
    auto out = test_options({origin.server.host()});
    out.registries.front().mirrors = {{.address = first.server.host(), .plain_http = true},
                                      {.address = second.server.host(), .plain_http = true}};
    return out;
  }
  [[nodiscard]] auto client(const std::string& rest = ":latest") const {
    return client_of(origin.name(rest), options());
  }
};

/// A first word that answers everything with a status.
auto always(int status) {
  return [status](const http_request&, http_connection& to) { return to.answer(status, {}, ""), true; };
}

absl::Status pull(support::curl_client& from, const std::string& content, collect& into) {
  return from.blob(blob_of(content), content.size(), {0, content.size()}, into, nullptr);
}

}  // namespace

TEST_CASE("registry servers: mirrors are asked in order, the registry last") {
  fixture here;
  const auto client = here.client();
  const auto found = client->find_manifest();
  REQUIRE_MESSAGE(found.ok(), message(found.status()));
  CHECK(found->data == here.manifest);
  CHECK(here.first.asked() == words{"GET manifests/latest"});
  here.first.blobs.clear();
  collect into;
  CHECK(pull(*client, here.content, into).ok());
  CHECK((into.text == here.content));
  CHECK(here.second.server.count() == 1);
  CHECK(here.origin.server.count() == 0);
  // That one has not this blob does not make it a bad mirror.
  CHECK(client->document(*found).ok());
  CHECK(here.first.asked().back() == "GET manifests/" + support::sha256(here.manifest));
}

TEST_CASE("registry servers: failing mirrors cost a question each, and one only") {
  fixture here;
  for (const int status : {500, 403, 429}) {
    here.first.first = always(status);
    here.second.first = [](const http_request&, http_connection& to) { return to.drop(), true; };
    here.first.server.forget();
    here.origin.server.forget();
    const auto client = here.client();
    const auto found = client->find_manifest();
    REQUIRE_MESSAGE(found.ok(), message(found.status()));
    const std::size_t first = here.first.server.count();
    const std::size_t second = here.second.server.count();
    collect into;
    CHECK(pull(*client, here.content, into).ok());
    CHECK(client->document(*found).ok());
    CHECK(here.first.server.count() == first);
    CHECK(here.second.server.count() == second);
    CHECK(here.origin.server.count() == 3);
  }
}

TEST_CASE("registry servers: nobody listens at a mirror") {
  fixture here;
  auto options = here.options();
  {
    const fake_registry gone;
    options.registries.front().mirrors = {{.address = gone.server.host(), .plain_http = true}};
  }
  const auto client = client_of(here.origin.name(), options);
  CHECK(client->find_manifest().ok());
}

TEST_CASE("registry servers: lying mirrors, with manifests") {
  fixture here;
  const std::string other = here.manifest + " ";
  here.first.manifests[support::sha256(here.manifest)].text = other;
  here.second.manifests[support::sha256(here.manifest)] = {here.manifest, std::string(media::oci_index)};
  const auto client = here.client("@" + support::sha256(here.manifest));
  auto found = client->find_manifest();
  REQUIRE_MESSAGE(found.ok(), message(found.status()));
  CHECK(found->data == here.manifest);
  CHECK(here.origin.server.count() == 1);
  // By tag it may be as it likes, but its bytes decide and not its header.
  here.first.first = [&](const http_request&, http_connection& to) {
    return to.answer(200, {{"Docker-Content-Digest", support::sha256("x")}}, here.manifest), true;
  };
  const auto tagged = here.client();
  found = tagged->find_manifest();
  REQUIRE(found.ok());
  CHECK(found->digest.text() == support::sha256(here.manifest));
  CHECK(here.second.asked().back() == "GET manifests/latest");
}

TEST_CASE("registry servers: a mirror that gave a wrong blob is not asked again") {
  fixture here;
  const std::string digest = support::sha256(here.content);
  here.first.blobs[digest] = std::string(here.content.size(), 'x');
  here.second.blobs[digest] = std::string(here.content.size(), 'y');
  const auto client = here.client();
  words results;
  std::vector<bool> others;
  for (int turn = 0; turn < 3; ++turn) {
    collect into;
    CHECK(pull(*client, here.content, into).ok());
    results.push_back(into.text.substr(0, 1));
    others.push_back(client->distrust(mortise::digest::of(here.content)));
  }
  CHECK(others == std::vector<bool>{true, true, false});
  CHECK(results == words{"x", "y", "0"});
}

TEST_CASE("registry servers: a mirror that gave two wrong blobs is distrusted for each") {
  fixture here;
  const std::string other = here.origin.put_blob(std::string(1000, 'o'));
  for (const std::string& each : {here.content, other})
    here.first.blobs[support::sha256(each)] = std::string(each.size(), 'x');
  const auto client = here.client();
  for (const std::string& each : {here.content, other}) {
    collect into;
    CHECK(pull(*client, each, into).ok());
    CHECK_FALSE((into.text == each));
  }
  for (const std::string& each : {here.content, other}) {
    CHECK(client->distrust(mortise::digest::of(each)));
    collect into;
    CHECK(pull(*client, each, into).ok());
    CHECK((into.text == each));
  }
}

TEST_CASE("registry servers: a blob that breaks off at a mirror goes on at the next") {
  fixture here;
  const auto breaks_off = [&here](std::size_t after) {
    return [&here, after](const http_request& asked, http_connection& to) {
      if (asked.path().find("/blobs/") == std::string::npos) return false;
      const std::string range = asked.field("range");
      const std::size_t first = range.empty() ? 0 : std::stoull(range.substr(6));
      if (first >= after) return to.answer(503, {}, ""), true;
      to.send_head(range.empty() ? 200 : 206, {{"Content-Length", std::to_string(200'000 - first)},
                                               {"Content-Range", mortise::concat("bytes ", first, "-199999/200000")}});
      to.send(std::string_view(here.content).substr(first, after - first));
      return to.drop(), true;
    };
  };
  here.first.first = breaks_off(60'000);
  here.second.first = breaks_off(130'000);
  const auto client = here.client();
  collect into;
  const absl::Status got = pull(*client, here.content, into);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((into.text == here.content));
  CHECK(into.begun == 1);
  CHECK(here.origin.server.requests().back().field("range").starts_with("bytes=1"));
}

TEST_CASE("registry servers: a mirror that ignores ranges is passed over for a part") {
  fixture here;
  here.first.first = [&here](const http_request&, http_connection& to) {
    return to.answer(200, {}, here.content), true;
  };
  const auto client = here.client();
  collect into;
  const absl::Status got = client->blob(blob_of(here.content), here.content.size(), {1000, 2000}, into, nullptr);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((into.text == here.content.substr(1000, 1000)));
}

TEST_CASE("registry servers: the last word is the registry's, with what the mirrors said before") {
  fixture here;
  here.first.first = always(500);
  const auto out = here.client(":none")->find_manifest().status();
  CHECK(out.code() == StatusCode::kNotFound);
  const std::string text(message(out));
  CHECK(text.starts_with("pull " + here.origin.name(":none") + ": " + here.origin.server.host() +
                         ": manifest unknown (check the tag) (and before that: " + here.first.server.host() + ": "));
}

TEST_CASE("registry servers: mirrors only, and mirrors that may not resolve tags") {
  fixture here;
  auto options = here.options();
  options.registries.front().mirrors_only = true;
  options.registries.front().mirrors.front().resolves_tags = false;
  const auto client = client_of(here.origin.name(), options);
  const auto found = client->find_manifest();
  REQUIRE(found.ok());
  CHECK(here.first.server.count() == 0);
  CHECK(client->document(*found).ok());
  CHECK(here.first.server.count() == 1);
  here.first.first = here.second.first = always(500);
  CHECK_FALSE(client->find_manifest().ok());
  CHECK(here.origin.server.count() == 0);
  // The last one is asked again, as there is no other.
  here.second.first = {};
  CHECK(client->find_manifest().ok());
}

TEST_CASE("registry servers: ns= is told to mirrors that want it, and to nobody else") {
  fixture here;
  auto options = here.options();
  options.registries.front().mirrors.front().add_namespace = true;
  here.first.manifests.clear();
  here.second.manifests.clear();
  CHECK(client_of(here.origin.name(), options)->find_manifest().ok());
  CHECK(here.first.server.requests().front().query() == "ns=127.0.0.1%3A" + std::to_string(here.origin.server.port()));
  CHECK(here.second.server.requests().front().query().empty());
  CHECK(here.origin.server.requests().front().query().empty());
}

TEST_CASE("registry servers: a registry's credentials do not go to its mirrors, nor theirs to it") {
  fixture here;
  support::token_server tokens;
  tokens.user = "anna";
  tokens.password = "hunter2";
  here.origin.first = tokens.doorkeeper();
  // The mirrors ask for Basic, and for a token of the registry's own token server.
  here.first.first = [](const http_request&, http_connection& to) {
    return to.answer(401, {{"WWW-Authenticate", "Basic realm=\"give\""}}, ""), true;
  };
  here.second.first = [&tokens](const http_request&, http_connection& to) {
    return to.answer(401, {{"WWW-Authenticate", tokens.challenge()}}, ""), true;
  };
  auto options = here.options();
  options.logins = {{here.origin.server.host(), {"anna", secret(std::string_view("hunter2")), {}, {}}}};
  const auto found = client_of(here.origin.name(), options)->find_manifest();
  REQUIRE_MESSAGE(found.ok(), message(found.status()));
  CHECK_FALSE(here.first.saw_credentials());
  CHECK_FALSE(here.second.saw_credentials());
  CHECK(here.origin.saw_credentials());
  // A mirror with credentials of its own gets those.
  options.logins.push_back({here.first.server.host(), {"bert", secret(std::string_view("other")), {}, {}}});
  CHECK(client_of(here.origin.name(), options)->find_manifest().ok());
  CHECK(here.first.server.requests().back().field("authorization") == support::basic_field("bert", "other"));
}

TEST_CASE("registry servers: that nothing speaks TLS on this machine is no part of what plain http answers") {
  const fake_registry plain;
  const auto said = [](const std::string& name) {
    return std::string(message(client_of(name, test_options())->find_manifest().status()));
  };
  const std::string missing = said(plain.server.host() + "/app:none");
  CHECK(missing.ends_with(plain.server.host() + ": manifest unknown (check the tag)"));
  std::string gone;
  {
    const fake_registry ended;
    gone = ended.server.host();
  }
  const std::string nobody = said(gone + "/app");
  CHECK(nobody.find("http://" + gone) != std::string::npos);
  CHECK(nobody.find("(and before that: https://" + gone) != std::string::npos);
}

TEST_CASE("registry servers: CVE-2014-5277, plain http on another machine only where it is asked for") {
  fake_registry plain;
  plain.put_image({support::plain_layer("tar")});
  // An address that leads here and is not written as one of this machine.
  const std::string elsewhere = "0.0.0.0:" + std::to_string(plain.server.port());
  auto options = test_options({elsewhere});
  CHECK(client_of(elsewhere + "/app", options)->find_manifest().ok());
  plain.server.forget();
  options.registries.clear();
  options.connecting = options.inactivity = std::chrono::milliseconds(200);
  options.retry.tries = 1;
  CHECK_FALSE(client_of(elsewhere + "/app", options)->find_manifest().ok());
  CHECK(plain.server.count() == 0);
}
