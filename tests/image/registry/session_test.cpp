// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/session.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <atomic>
#include <chrono>
#include <image/registry/fake_registry.hpp>
#include <image/registry/token_server.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <thread>
#include <vector>

using absl::StatusCode;
using mortise::message;
using mortise::image::distribution::credential;
using mortise::image::distribution::secret;
using support::blob_of;
using support::client_of;
using support::collect;
using support::fake_registry;
using support::http_connection;
using support::http_request;
using support::http_server;
using support::test_options;
using support::token_server;

namespace {

secret hidden(std::string_view text) { return secret(text); }
credential password(std::string_view user, std::string_view text) { return {std::string(user), hidden(text), {}, {}}; }
credential identity(std::string_view text) { return {{}, {}, hidden(text), {}}; }

/// Options with credentials for a registry.
support::distribution::registry_options with(const fake_registry& at, credential what) {
  auto out = test_options({at.server.host()});
  out.logins = {{at.server.host(), std::move(what)}};
  return out;
}

absl::Status pull(const fake_registry& at, support::distribution::registry_options options) {
  return client_of(at.name(), std::move(options))->find_manifest().status();
}

bool has(const absl::Status& status, std::string_view part) {
  return message(status).find(part) != std::string_view::npos;
}

std::function<bool(const http_request&, http_connection&)> asks_basic(std::string field) {
  return [field = std::move(field)](const http_request& asked, http_connection& to) {
    if (asked.field("authorization") == field) return false;
    to.answer(401, {{"WWW-Authenticate", "Basic realm=\"registry\""}}, "");
    return true;
  };
}

}  // namespace

TEST_CASE("registry session: an anonymous token") {
  token_server tokens;
  fake_registry here(tokens.doorkeeper());
  here.put_image({support::plain_layer("tar")});
  const absl::Status got = pull(here, test_options({here.server.host()}));
  CHECK_MESSAGE(got.ok(), message(got));
  REQUIRE(tokens.server.count() == 1);
  const auto asked = tokens.server.requests().front();
  CHECK(asked.method == "GET");
  CHECK_FALSE(asked.has("authorization"));
  CHECK(asked.query() == "service=test&scope=repository%3Aapp%3Apull&client_id=mortise");
  CHECK(here.server.requests().at(0).field("authorization").empty());
  CHECK(here.server.requests().at(1).field("authorization") == "Bearer t-1");
}

TEST_CASE("registry session: name and password go to the token server, the token to the registry") {
  token_server tokens;
  tokens.user = "anna";
  tokens.password = "hunter2";
  fake_registry here(tokens.doorkeeper());
  here.put_image({support::plain_layer("tar")});
  absl::Status got = pull(here, with(here, password("anna", "hunter2")));
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK(tokens.server.requests().front().query().find("account=anna") != std::string::npos);
  for (const auto& each : here.server.requests()) CHECK_FALSE(each.field("authorization").starts_with("Basic"));
  got = pull(here, with(here, password("anna", "wrong-secret")));
  CHECK(got.code() == StatusCode::kUnauthenticated);
  CHECK_FALSE(has(got, "wrong-secret"));
  CHECK(has(got, "log in"));
  got = pull(here, test_options({here.server.host()}));
  CHECK(got.code() == StatusCode::kUnauthenticated);
}

TEST_CASE("registry session: an identity token by POST, and again with the one that came in return") {
  token_server tokens;
  tokens.user = "nobody else";
  tokens.identity = "id-1";
  tokens.rotates = true;
  tokens.uses = 1;
  fake_registry here(tokens.doorkeeper());
  here.put_image({support::plain_layer("tar")});
  const auto client = client_of(here.name(), with(here, identity("id-1")));
  for (int turn = 0; turn < 3; ++turn) {
    const auto found = client->find_manifest();
    CHECK_MESSAGE(found.ok(), message(found.status()));
  }
  CHECK(tokens.identity == "id-1+++");
  for (const auto& each : tokens.server.requests()) {
    CHECK(each.method == "POST");
    CHECK(each.field("content-type") == "application/x-www-form-urlencoded");
    CHECK(each.target == "/token");
    CHECK_FALSE(each.has("authorization"));
  }
  CHECK(pull(here, with(here, identity("old"))).code() == StatusCode::kUnauthenticated);
}

TEST_CASE("registry session: a token server that knows no POST is asked by GET") {
  for (const int status : {404, 405}) {
    token_server tokens;
    tokens.user = "anna";
    tokens.password = "hunter2";
    tokens.first = [status](const http_request& asked, http_connection& to) {
      if (asked.method == "POST") to.answer(status, {}, "");
      return asked.method == "POST";
    };
    fake_registry here(tokens.doorkeeper());
    here.put_image({support::plain_layer("tar")});
    credential both = password("anna", "hunter2");
    both.identity_token = hidden("id-1");
    const absl::Status got = pull(here, with(here, both));
    CHECK_MESSAGE(got.ok(), message(got));
    CHECK(tokens.server.count() == 2);
  }
}

TEST_CASE("registry session: tokens that end in mid-pull are renewed, in mid-blob too") {
  token_server tokens;
  tokens.uses = 2;
  const std::string content = support::numbered_bytes(400'000);
  std::atomic<int> drops = 6;
  fake_registry here;
  here.first = [&, door = tokens.doorkeeper()](const http_request& asked, http_connection& to) {
    if (door(asked, to)) return true;
    if (asked.path().find("/blobs/") == std::string::npos || drops-- <= 0) return false;
    const std::string range = asked.field("range");
    const std::size_t first = range.empty() ? 0 : std::stoull(range.substr(6));
    const std::string sizes = mortise::concat("bytes ", first, "-399999/400000");
    to.send_head(range.empty() ? 200 : 206,
                 {{"Content-Range", sizes}, {"Content-Length", std::to_string(400'000 - first)}});
    to.send(std::string_view(content).substr(first, 50'000));
    return to.drop(), true;
  };
  here.put_image({support::plain_layer("tar")});
  here.put_blob(content);
  auto options = test_options({here.server.host()});
  options.retry.progress = 10'000;
  const auto client = client_of(here.name(), options);
  CHECK(client->find_manifest().ok());
  collect into;
  const absl::Status got = client->blob(blob_of(content), content.size(), {0, content.size()}, into, nullptr);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((into.text == content));
  CHECK(into.begun == 1);
  CHECK(tokens.server.count() >= 3);
}

TEST_CASE("registry session: insufficient_scope is answered once, for reading only") {
  token_server tokens;
  std::string wanted = "repository:base:pull";
  fake_registry here;
  here.first = [&](const http_request& asked, http_connection& to) {
    if (!tokens.admits(asked)) return to.answer(401, {{"WWW-Authenticate", tokens.challenge()}}, ""), true;
    if (tokens.admits(asked, wanted)) return false;
    const std::string scopes = "repository:app:pull,push " + wanted;
    return to.answer(401, {{"WWW-Authenticate", tokens.challenge(scopes, "insufficient_scope")}}, ""), true;
  };
  here.put_image({support::plain_layer("tar")});
  absl::Status got = pull(here, test_options({here.server.host()}));
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK(tokens.server.count() == 2);
  CHECK(tokens.server.requests().back().query() ==
        "service=test&scope=repository%3Aapp%3Apull&scope=repository%3Abase%3Apull&client_id=mortise");
  // What a token for reading never gets.
  wanted = "repository:base:push";
  tokens.server.forget();
  here.server.forget();
  got = pull(here, test_options({here.server.host()}));
  CHECK(got.code() == StatusCode::kUnauthenticated);
  CHECK(tokens.server.count() <= 4);
  CHECK(here.server.count() <= 6);
}

TEST_CASE("registry session: a registry that is never content ends after two tokens a question") {
  token_server tokens;
  fake_registry here([&tokens](const http_request&, http_connection& to) {
    return to.answer(401, {{"WWW-Authenticate", tokens.challenge()}}, ""), true;
  });
  const absl::Status got =
      client_of(here.name("@" + support::sha256("x")), test_options({here.server.host()}))->find_manifest().status();
  CHECK(got.code() == StatusCode::kUnauthenticated);
  CHECK(tokens.server.count() == 2);
  CHECK(here.server.count() == 3);
}

TEST_CASE("registry session: CVE-2026-48978, realms where no token may be asked for") {
  std::string realm;
  fake_registry here([&realm](const http_request&, http_connection& to) {
    return to.answer(401, {{"WWW-Authenticate", "Bearer realm=\"" + realm + "\",service=\"s\""}}, ""), true;
  });
  for (const char* const each : {"http://token.example.com/", "http://169.254.169.254/latest", "file:///etc/passwd",
                                 "https://user:pw@example.com/", "ftp://127.0.0.1/"}) {
    CAPTURE(each);
    realm = each;
    const absl::Status got = pull(here, test_options({here.server.host()}));
    CHECK((got.code() == StatusCode::kPermissionDenied || got.code() == StatusCode::kInvalidArgument));
    CHECK_FALSE(has(got, "pw"));
  }
  // A foreign host may be asked anonymously, but gets no password.
  realm = "https://token.example.com/";
  const absl::Status got = pull(here, with(here, password("anna", "hunter2")));
  CHECK(got.code() == StatusCode::kPermissionDenied);
  CHECK(has(got, "foreign host"));
  CHECK_FALSE(has(got, "hunter2"));
}

TEST_CASE("registry session: CVE-2026-48978, only the realms that are named may be token servers") {
  token_server tokens;
  fake_registry here(tokens.doorkeeper());
  here.put_image({support::plain_layer("tar")});
  auto options = test_options({here.server.host()});
  options.registries.front().realms = {"auth.example.com"};
  // The registry's own host is always among them.
  CHECK(pull(here, options).ok());
  fake_registry other([](const http_request&, http_connection& to) {
    return to.answer(401, {{"WWW-Authenticate", "Bearer realm=\"https://localhost/\""}}, ""), true;
  });
  auto strict = test_options({other.server.host()});
  strict.registries.front().realms = {"auth.example.com"};
  CHECK(pull(other, strict).code() == StatusCode::kPermissionDenied);
}

TEST_CASE("registry session: GHSA-vh4v, a token server's redirect to another server is not followed") {
  http_server thief([](const http_request&, http_connection& to) { to.answer(200, {}, R"({"token":"evil"})"); });
  for (const bool post : {false, true}) {
    CAPTURE(post);
    token_server tokens;
    tokens.first = [&thief](const http_request&, http_connection& to) {
      return to.redirect(307, thief.url("/token")), true;
    };
    fake_registry here(tokens.doorkeeper());
    const absl::Status got = pull(here, with(here, post ? identity("id-1") : password("anna", "hunter2")));
    CHECK_FALSE(got.ok());
    CHECK(thief.count() == 0);
    // On its own host it may.
    tokens.first = [moved = false](const http_request& asked, http_connection& to) mutable {
      if (moved || asked.method == "POST") return false;
      moved = true;
      return to.redirect(307, asked.target), true;
    };
    here.put_image({support::plain_layer("tar")});
    tokens.identity = "id-1";
    CHECK(pull(here, with(here, post ? identity("id-1") : password("anna", "hunter2"))).ok());
  }
}

TEST_CASE("registry session: GHSA-vh4v, credentials do not follow a redirect to another port") {
  const std::string content = support::numbered_bytes(50'000);
  fake_registry storage([&](const http_request& asked, http_connection& to) { return to.serve(asked, content), true; });
  for (const bool bearer : {false, true}) {
    token_server tokens;
    tokens.user = "anna";
    tokens.password = "hunter2";
    fake_registry here;
    here.first = [&, door = bearer ? tokens.doorkeeper() : asks_basic(support::basic_field("anna", "hunter2"))](
                     const http_request& asked, http_connection& to) {
      if (door(asked, to)) return true;
      to.redirect(307, storage.server.url("/bucket/blob?signature=x"));
      return true;
    };
    const auto client = client_of(here.name(), with(here, password("anna", "hunter2")));
    collect into;
    const absl::Status got = client->blob(blob_of(content), content.size(), {0, content.size()}, into, nullptr);
    CHECK_MESSAGE(got.ok(), message(got));
    CHECK((into.text == content));
    CHECK(here.saw_credentials());
  }
  CHECK(storage.server.count() == 2);
  CHECK_FALSE(storage.saw_credentials());
}

TEST_CASE("registry session: a challenge of whoever it was redirected to is not answered") {
  http_server thief([](const http_request&, http_connection& to) {
    to.answer(401, {{"WWW-Authenticate", "Basic realm=\"give\""}}, "");
  });
  fake_registry here(
      [&thief](const http_request&, http_connection& to) { return to.redirect(307, thief.url("/x")), true; });
  CHECK(pull(here, with(here, password("anna", "hunter2"))).code() == StatusCode::kUnauthenticated);
  for (const auto& each : thief.requests()) CHECK_FALSE(each.has("authorization"));
}

TEST_CASE("registry session: tokens are kept for the server they were given for") {
  token_server tokens;
  fake_registry here(tokens.doorkeeper());
  fake_registry other(tokens.doorkeeper());
  here.put_image({support::plain_layer("tar")});
  other.put_image({support::plain_layer("tar")});
  const auto shared = std::make_shared<support::distribution::context<support::curl_http>>(
      test_options({here.server.host(), other.server.host()}));
  const auto find = [&shared](const fake_registry& at) {
    const auto of = mortise::model::reference::parse(at.name()).value();
    return support::curl_client::open(shared, of).value()->find_manifest().ok();
  };
  CHECK(find(here));
  CHECK(find(here));
  CHECK(tokens.server.count() == 1);
  CHECK(find(other));
  CHECK(tokens.server.count() == 2);
}

TEST_CASE("registry session: Basic, only where it is asked for and only once") {
  fake_registry here(asks_basic(support::basic_field("anna", "hunter2")));
  here.put_image({support::plain_layer("tar")});
  const auto client = client_of(here.name(), with(here, password("anna", "hunter2")));
  CHECK(client->find_manifest().ok());
  CHECK(client->find_manifest().ok());
  CHECK(here.server.count() == 3);  // the first question, its repetition, and one more
  here.server.forget();
  absl::Status got = client_of(here.name("@" + support::sha256("x")), with(here, password("anna", "wrong-secret")))
                         ->find_manifest()
                         .status();
  CHECK(got.code() == StatusCode::kUnauthenticated);
  CHECK_FALSE(has(got, "wrong-secret"));
  CHECK(here.server.count() == 2);
  got = pull(here, test_options({here.server.host()}));
  CHECK(got.code() == StatusCode::kUnauthenticated);
  CHECK(has(got, "docker login or podman login"));
  // What is public never sees a password.
  fake_registry open;
  open.put_image({support::plain_layer("tar")});
  CHECK(pull(open, with(open, password("anna", "hunter2"))).ok());
  CHECK_FALSE(open.saw_credentials());
}

TEST_CASE("registry session: a token of the registry's own is sent as it is") {
  fake_registry here([](const http_request& asked, http_connection& to) {
    if (asked.field("authorization") == "Bearer own-token") return false;
    return to.answer(401, {{"WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:1/\",service=\"s\""}}, ""), true;
  });
  here.put_image({support::plain_layer("tar")});
  CHECK(pull(here, with(here, {{}, {}, {}, hidden("own-token")})).ok());
}

TEST_CASE("registry session: a 401 without a challenge takes the one of /v2/") {
  token_server tokens;
  fake_registry here([&tokens](const http_request& asked, http_connection& to) {
    if (tokens.admits(asked)) return false;
    if (asked.path() != "/v2/") return to.answer(401, {}, ""), true;
    return to.answer(401, {{"WWW-Authenticate", tokens.challenge()}}, ""), true;
  });
  here.put_image({support::plain_layer("tar")});
  const absl::Status got = pull(here, test_options({here.server.host()}));
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK(here.asked() == std::vector<std::string>{"HEAD manifests/latest", "GET /v2/", "HEAD manifests/latest"});
}

TEST_CASE("registry session: token servers that answer nonsense, or without end") {
  std::string body;
  std::atomic<std::uint64_t> sent = 0;
  token_server tokens;
  tokens.first = [&](const http_request&, http_connection& to) {
    if (!body.empty()) return to.answer(200, {}, std::string(body)), true;
    to.send_head(200, {{"Transfer-Encoding", "chunked"}});
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    while (sent < (std::uint64_t{1} << 30) && to.send(chunk)) sent += chunk.size();
    return to.drop(), true;
  };
  fake_registry here(tokens.doorkeeper());
  CHECK(pull(here, test_options({here.server.host()})).code() == StatusCode::kResourceExhausted);
  CHECK(sent < (std::uint64_t{16} << 20));
  for (const char* const each : {"<html>", "{}", R"({"token":""})", R"({"token":"s3cret\r\nX-Evil: 1"})"}) {
    body = each;
    const absl::Status got = pull(here, test_options({here.server.host()}));
    CHECK(got.code() == StatusCode::kInvalidArgument);
    CHECK_FALSE(has(got, "s3cret"));
  }
}

TEST_CASE("registry session: several threads log in once") {
  token_server tokens;
  fake_registry here(tokens.doorkeeper());
  const std::string content = here.put_blob(support::numbered_bytes(1000));
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int each = 0; each < 8; ++each)
    threads.emplace_back([&] {
      collect into;
      good += client->blob(blob_of(content), content.size(), {0, content.size()}, into, nullptr).ok() ? 1 : 0;
    });
  for (std::thread& each : threads) each.join();
  CHECK(good == 8);
  CHECK(tokens.server.count() == 1);
}

TEST_CASE("registry session: cancelling does not wait for a token server") {
  token_server tokens;
  tokens.first = [](const http_request&, http_connection& to) { return to.stall(), true; };
  fake_registry here(tokens.doorkeeper());
  std::atomic<bool> cancelled = false;
  std::thread canceller([&cancelled] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cancelled = true;
  });
  collect into;
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status got =
      client_of(here.name(), test_options({here.server.host()}))->blob(blob_of("x"), 1, {0, 1}, into, &cancelled);
  CHECK_MESSAGE(got.code() == StatusCode::kCancelled, message(got));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  canceller.join();
}

TEST_CASE("registry session: files and helpers are asked when a registry asks, and not before") {
  const support::temporary_directory place;
  fake_registry here(asks_basic(support::basic_field("helped", "hunter2")));
  fake_registry open;
  here.put_image({support::plain_layer("tar")});
  open.put_image({support::plain_layer("tar")});
  auto options = test_options({here.server.host(), open.server.host()});
  options.variables = mortise::image::distribution::environment{"HOME=/nonexistent", "PATH=" + place.path(),
                                                                "REGISTRY_AUTH_FILE=" + place.path() + "/auth.json"};
  CHECK(pull(open, options).ok());
  CHECK(pull(here, options).code() == StatusCode::kNotFound);  // the file that was asked for
  support::write_file(place / "auth.json", R"({"credHelpers":{")" + here.server.host() + R"(":"test"}})");
  const std::string helper = place / "docker-credential-test";
  support::write_file(helper,
                      "#!/bin/sh\nread -r server\ncase $server in " + here.server.host() +
                          R"() echo '{"ServerURL":"x","Username":"helped","Secret":"hunter2"}';; *) exit 1;; esac)");
  ::chmod(helper.c_str(), 0755);
  const absl::Status got = pull(here, options);
  CHECK_MESSAGE(got.ok(), message(got));
}
