// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/token.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

using mortise::message;
using mortise::image::distribution::basic_authorization;
using mortise::image::distribution::bearer_authorization;
using mortise::image::distribution::parse_token_response;
using mortise::image::distribution::scope;
using mortise::image::distribution::secret;
using mortise::image::distribution::token_request;
using mortise::image::distribution::url;
using std::chrono::seconds;
using std::chrono::sys_seconds;

namespace {

constexpr sys_seconds now(seconds(1'700'000'000));  // 2023-11-14T22:13:20Z

secret hidden(std::string_view text) { return secret(text); }

std::string refusal(const std::string& text) {
  const auto out = parse_token_response(text, "token", now);
  return out.ok() ? "accepted" : std::string(message(out.status()));
}

long lifetime(const std::string& members) {
  const auto out = parse_token_response(R"({"token":"t")" + members + "}", "token", now);
  REQUIRE_MESSAGE(out.ok(), message(out.status()));
  return out->lifetime.count();
}

token_request request(const char* realm, const char* service) {
  token_request out{url::parse(realm).value(), service, {}};
  out.scopes.add(scope::pull("library/busybox"));
  return out;
}

}  // namespace

TEST_CASE("token: what is asked") {
  token_request asked = request("https://auth.docker.io/token", "registry.docker.io");
  CHECK(asked.address().text() ==
        "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fbusybox%3Apull"
        "&client_id=mortise");
  asked.account = "a&b=c d";
  asked.scopes.add(scope::pull("other"));
  CHECK(asked.address().text() ==
        "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fbusybox%3Apull"
        "&scope=repository%3Aother%3Apull&account=a%26b%3Dc%20d&client_id=mortise");
  CHECK(request("https://a/t?x=1", "").address().target() ==
        "/t?x=1&scope=repository%3Alibrary%2Fbusybox%3Apull&client_id=mortise");
  CHECK(request("https://a/t", "s").refresh_form(hidden("r+/=")).reveal() ==
        "grant_type=refresh_token&refresh_token=r%2B%2F%3D&service=s&client_id=mortise"
        "&scope=repository%3Alibrary%2Fbusybox%3Apull");
  CHECK(request("https://a/t", "s").password_form("u&x=1", hidden("p&q")).reveal() ==
        "grant_type=password&username=u%26x%3D1&password=p%26q&service=s&client_id=mortise"
        "&scope=repository%3Alibrary%2Fbusybox%3Apull");
}

TEST_CASE("token: a hostile service injects nothing") {
  const std::string text = request("https://a/t", "x&scope=evil\r\nHost: b#").address().text();
  CHECK(text.starts_with("https://a/t?service=x%26scope%3Devil%0D%0AHost%3A%20b%23&scope="));
  CHECK(request("https://a/t", "x\ny").key() != request("https://a/t", "x").key());
  token_request other = request("https://a/t", "x");
  other.account = "u";
  CHECK(other.key() != request("https://a/t", "x").key());
  CHECK(request("https://a/t", "x").key() == request("https://a/t", "x").key());
}

TEST_CASE("token: what goes into an Authorization field") {
  CHECK(basic_authorization("Aladdin", hidden("open sesame"))->reveal() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK_FALSE(basic_authorization("a:b", hidden("p")).ok());
  CHECK_FALSE(basic_authorization("a\n", hidden("p")).ok());
  CHECK_FALSE(basic_authorization("a", hidden("p\r")).ok());
  CHECK(bearer_authorization(hidden("abc.def-_~"))->reveal() == "Bearer abc.def-_~");
  for (const char* const bad : {"", "a b", "a\r\nX: y", "\xc3\xa9", "a\t"}) {
    CAPTURE(bad);
    CHECK_FALSE(bearer_authorization(hidden(bad)).ok());
  }
}

TEST_CASE("token: a response is read") {
  const auto both = parse_token_response(
      R"({"token":"t","access_token":"a","refresh_token":"r","expires_in":300,"more":{"x":[1]}})", "token", now);
  REQUIRE(both.ok());
  CHECK(both->token == hidden("t"));
  CHECK(both->refresh_token == hidden("r"));
  CHECK(both->lifetime == seconds(300));
  CHECK(parse_token_response(R"({"access_token":"a","token":null})", "token", now)->token == hidden("a"));
  CHECK(parse_token_response(R"({"access_token":"a","token":""})", "token", now)->token == hidden("a"));
}

TEST_CASE("token: how long it serves") {
  CHECK(lifetime("") == 60);
  CHECK(lifetime(R"(,"expires_in":null)") == 60);
  CHECK(lifetime(R"(,"expires_in":0)") == 60);
  CHECK(lifetime(R"(,"expires_in":-5)") == 60);
  CHECK(lifetime(R"(,"expires_in":"x")") == 60);
  CHECK(lifetime(R"(,"expires_in":59)") == 60);
  CHECK(lifetime(R"(,"expires_in":3600)") == 3600);
  CHECK(lifetime(R"(,"expires_in":9223372036854775807)") == 86400);
  const std::string hour = R"(,"expires_in":3600,"issued_at":)";
  CHECK(lifetime(hour + R"("2023-11-14T22:03:20Z")") == 3000);
  CHECK(lifetime(hour + R"("2023-11-14T23:03:20.123456789+01:00")") == 3000);
  CHECK(lifetime(hour + R"("2023-11-14T21:33:20.1-00:30")") == 3000);
  CHECK(lifetime(hour + R"("2023-11-14T21:13:30Z")") == 60);
  // Clocks that differ would otherwise end every token before it begins, or keep it past its end.
  CHECK(lifetime(hour + R"("2023-11-14T20:00:00Z")") == 3600);
  CHECK(lifetime(hour + R"("2024-11-14T20:00:00Z")") == 3600);
  for (const char* const bad : {"\"\"", "\"yesterday\"", "7", "\"2023-13-14T22:03:20Z\"", "\"2023-02-30T22:03:20Z\"",
                                "\"2023-11-14T25:03:20Z\"", "\"2023-11-14T22:03:20\"", "\"2023-11-14T22:03:20+0100\"",
                                "\"2023-11-14T22:03:20+99:00\"", "\"-023-11-14T22:03:20Z\""}) {
    CAPTURE(bad);
    CHECK(lifetime(hour + bad) == 3600);
  }
}

TEST_CASE("token: hostile responses") {
  CHECK(refusal("{}") == "parse token: there is neither 'token' nor 'access_token'");
  CHECK(refusal("[]").find("must be an object") != std::string::npos);
  CHECK(refusal(R"({"token":7})").find("must be a string") != std::string::npos);
  CHECK(refusal(R"({"token":"a\r\nX-Evil: 1"})") == "parse token: 'token' holds more than visible ASCII");
  CHECK(refusal(R"({"token":"a b"})").find("visible ASCII") != std::string::npos);
  CHECK(refusal(R"({"token":"t","refresh_token":"\u0000"})").find("'refresh_token'") != std::string::npos);
  CHECK(refusal(R"({"token":"t","token":"u"})").find("twice") != std::string::npos);
  CHECK(refusal(R"({"token":")" + std::string(70000, 'a') + "\"}").find("longer than 65536") != std::string::npos);
  CHECK(refusal(std::string(2 << 20, ' ')).find("longer than 1048576") != std::string::npos);
  CHECK(refusal(R"({"token":"t","x":)" + std::string(100, '[') + std::string(100, ']') + "}") != "accepted");
  std::string many = R"({"token":"t","x":[0)";
  for (int each = 0; each < 2000; ++each) many += ",0";
  CHECK(refusal(many + "]}").find("more than 1000 values") != std::string::npos);
  CHECK(refusal(R"({"token":"hunter2 )"
                "\n\"")
            .find("hunter2") == std::string::npos);
}
