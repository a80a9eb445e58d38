// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/authorization.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using absl::StatusCode;
using mortise::message;
using mortise::image::distribution::answer_challenge;
using mortise::image::distribution::authorization_step;
using mortise::image::distribution::credential;
using mortise::image::distribution::demand_of;
using mortise::image::distribution::endpoint;
using mortise::image::distribution::endpoints_of;
using mortise::image::distribution::header_step;
using mortise::image::distribution::parse_challenges;
using mortise::image::distribution::registry_settings;
using mortise::image::distribution::secret;
using mortise::image::distribution::token_step;
using mortise::model::reference;

namespace {

endpoint at(const char* name, const std::vector<registry_settings>& all = {}) {
  return endpoints_of(reference::parse(name).value(), all).value().front();
}
credential user() {
  return {.username = "u", .password = secret(std::string_view("hunter2")), .identity_token = {}, .registry_token = {}};
}
credential identity() {
  return {.username = {}, .password = {}, .identity_token = secret(std::string_view("i-1")), .registry_token = {}};
}

absl::StatusOr<authorization_step> answer(const endpoint& where, const std::string& field,
                                          const std::optional<credential>& with = {}) {
  return answer_challenge(where, demand_of(parse_challenges(std::vector{field}).value()), with);
}

std::string bearer(const std::string& realm, const std::string& scope = "repository:library/x:pull") {
  return "Bearer realm=\"" + realm + "\",service=\"s\",scope=\"" + scope + '"';
}

}  // namespace

TEST_CASE("authorization: anonymous tokens") {
  const auto out = answer(at("x"), bearer("https://auth.docker.io/token"));
  REQUIRE_MESSAGE(out.ok(), message(out.status()));
  const auto& step = std::get<token_step>(*out);
  CHECK(step.authorization.empty());
  CHECK(step.form.empty());
  CHECK(step.request.address().text() ==
        "https://auth.docker.io/token?service=s&scope=repository%3Alibrary%2Fx%3Apull&client_id=mortise");
}

TEST_CASE("authorization: a token server's address that becomes too long is refused") {
  const auto with_service = [](std::size_t size) {
    return answer(at("x"), "Bearer realm=\"https://auth.docker.io/token\",service=\"" + std::string(size, '(') + '"');
  };
  CHECK(with_service(2000).ok());
  const auto refused = with_service(3000);
  CHECK(refused.status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(message(refused.status()) ==
        "log in to registry-1.docker.io: parse address 'https://auth.docker.io/token': it is longer than 8192 bytes");
}

TEST_CASE("authorization: tokens with credentials") {
  const auto named = answer(at("x"), bearer("https://auth.docker.io/token"), user());
  const auto& step = std::get<token_step>(*named);
  CHECK(step.authorization.reveal() == "Basic dTpodW50ZXIy");
  CHECK(step.request.account == "u");
  CHECK(step.request.address().text().find("hunter2") == std::string::npos);
  CHECK(step.form.empty());
  const auto refreshed = answer(at("x"), bearer("https://auth.docker.io/token"), identity());
  CHECK(std::get<token_step>(*refreshed).form.reveal().find("refresh_token=i-1") != std::string_view::npos);
  CHECK(std::get<token_step>(*refreshed).authorization.empty());
  auto fixed = user();
  fixed.registry_token = secret(std::string_view("r-1"));
  CHECK(std::get<header_step>(*answer(at("x"), bearer("https://evil.example/"), fixed)).authorization.reveal() ==
        "Bearer r-1");
}

TEST_CASE("authorization: Basic") {
  const endpoint where = at("r.example/x");
  CHECK(std::get<header_step>(*answer(where, "Basic realm=\"r\"", user())).authorization.reveal() ==
        "Basic dTpodW50ZXIy");
  CHECK(std::holds_alternative<token_step>(*answer(where, "Basic, " + bearer("https://r.example/t"), user())));
  const auto none = answer(where, "Basic realm=\"r\"");
  CHECK(none.status().code() == StatusCode::kUnauthenticated);
  CHECK(message(none.status()) ==
        "log in to r.example: it asks for a name and password (docker login or podman login stores them)");
  CHECK(message(answer(where, "Basic", identity()).status()).find("identity token only") != std::string_view::npos);
  CHECK(message(answer(where, "Negotiate", user()).status()).find("neither Bearer nor Basic") !=
        std::string_view::npos);
  CHECK(answer(where, "Bearer realm=\"\"", user()).status().code() == StatusCode::kUnauthenticated);
}

TEST_CASE("authorization: a hostile realm gets neither request nor credentials") {
  const endpoint where = at("r.example/x");
  for (const char* const realm :
       {"http://r.example/token", "file:///etc/passwd", "https://127.0.0.1/", "https://169.254.169.254/latest",
        "https://[::1]:5000/", "https://r.example@evil.example/", "token"}) {
    CAPTURE(realm);
    CHECK_FALSE(answer(where, bearer(realm)).ok());
    CHECK_FALSE(answer(where, bearer(realm), user()).ok());
  }
  for (const char* const realm :
       {"https://evil.example/token", "https://r.example.evil.example/", "https://example/"}) {
    CAPTURE(realm);
    CHECK(answer(where, bearer(realm)).ok());
    const auto refused = answer(where, bearer(realm), user());
    CHECK(refused.status().code() == StatusCode::kPermissionDenied);
    CHECK(message(refused.status()).find("hunter2") == std::string_view::npos);
    CHECK_FALSE(answer(where, bearer(realm), identity()).ok());
  }
  CHECK(message(answer(where, bearer("https://evil.example/t"), user()).status()) ==
        "log in to r.example: its token server is on the foreign host evil.example (if it may have the password, name "
        "it as a realm of the registry)");
}

TEST_CASE("authorization: named realms, and a mirror that names its registry's") {
  const registry_settings settings{
      .registry = "r.example", .mirrors = {{.address = "m.example"}}, .realms = {"auth.corp.example"}};
  const auto both = endpoints_of(reference::parse("r.example/x").value(), {settings}).value();
  REQUIRE(both.size() == 2);
  CHECK(answer(both[1], bearer("https://auth.corp.example/t"), user()).ok());
  CHECK_FALSE(answer(both[1], bearer("https://other.example/t"), user()).ok());
  CHECK_FALSE(answer(both[0], bearer("https://auth.corp.example/t"), user()).ok());
  CHECK_FALSE(answer(both[0], bearer("https://r.example/t"), user()).ok());
}

TEST_CASE("authorization: a challenge gets no more than a pull") {
  const auto out = answer(at("x"), bearer("https://auth.docker.io/token",
                                          "repository:library/x:pull,push,delete registry:catalog:* repository:y:*"));
  CHECK(std::get<token_step>(*out).request.scopes.text() == "repository:library/x:pull");
}
