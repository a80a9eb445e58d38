// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/errors.hpp>

#include <doctest/doctest.h>

#include <string>

using absl::StatusCode;
using mortise::image::distribution::parse_errors;
using mortise::image::distribution::response_error;

namespace {

std::string said(unsigned status, const std::string& body) {
  return std::string(mortise::message(response_error("pull docker.io/library/x", status, body)));
}
std::string one(const std::string& code, const std::string& message) {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"(","detail":{"Tag":"1"}}]})";
}

}  // namespace

TEST_CASE("errors: what registries say") {
  CHECK(said(404, one("MANIFEST_UNKNOWN", "manifest unknown")) ==
        "pull docker.io/library/x: manifest unknown (check the tag)");
  CHECK(said(404, one("MANIFEST_UNKNOWN", "Manifest unknown: 1.2")) ==
        "pull docker.io/library/x: Manifest unknown: 1.2 (check the tag)");
  CHECK(said(401, one("UNAUTHORIZED", "authentication required")) ==
        "pull docker.io/library/x: unauthorized: authentication required (log in, or check the name and password)");
  CHECK(said(403, one("DENIED", "")) ==
        "pull docker.io/library/x: denied (log in as a user who may pull it, or check the name)");
  CHECK(said(429, one("TOOMANYREQUESTS", "You have reached your limit")).find("too many requests: You have") !=
        std::string::npos);
  CHECK(said(400, one("SOME_OTHER_CODE", "no")) == "pull docker.io/library/x: some other code: no");
  CHECK(said(404, R"({"errors":[{"code":"NAME_UNKNOWN"},{"code":"DENIED"}]})")
            .find("repository unknown, and 1 more (check the name") != std::string::npos);
  CHECK(said(401, R"({"details":"incorrect username or password"})") ==
        "pull docker.io/library/x: incorrect username or password (log in, or check the name and password)");
  CHECK(said(400, R"({"error":"invalid_grant","error_description":"expired"})") ==
        "pull docker.io/library/x: credentials refused: expired (log in again)");
  CHECK(said(502, "<html>Bad Gateway</html>") ==
        "pull docker.io/library/x: the server's server failed, status 502 (try again)");
  CHECK(said(418, "") == "pull docker.io/library/x: status 418");
  CHECK(said(400, one("SOME_OTHER_CODE", "It may not be. \\n")) ==
        "pull docker.io/library/x: some other code: It may not be");
  CHECK(said(418, one("", "...")) == "pull docker.io/library/x: status 418");
  const auto parsed = parse_errors(R"({"errors":[{"code":"A","message":"b","detail":"c"}]})");
  REQUIRE(parsed.size() == 1);
  CHECK(parsed[0].detail == "c");
}

TEST_CASE("errors: a status has its code") {
  const auto code = [](unsigned status) { return response_error("pull", status, "").code(); };
  CHECK(code(401) == StatusCode::kUnauthenticated);
  CHECK(code(403) == StatusCode::kPermissionDenied);
  CHECK(code(404) == StatusCode::kNotFound);
  CHECK(code(416) == StatusCode::kOutOfRange);
  CHECK(code(429) == StatusCode::kResourceExhausted);
  CHECK(code(408) == StatusCode::kUnavailable);
  CHECK(code(503) == StatusCode::kUnavailable);
  CHECK(code(400) == StatusCode::kFailedPrecondition);
}

TEST_CASE("errors: hostile bodies are cleaned and cut") {
  const std::string ansi = said(404, one("MANIFEST_UNKNOWN", "\\u001b]0;owned\\u0007\\r\\nroot@host:~# \xe2\x80\xae"));
  CHECK(ansi.find('\x1b') == std::string::npos);
  CHECK(ansi.find('\n') == std::string::npos);
  CHECK(ansi.find("\\x1b]0;owned\\x07\\x0d\\x0a") != std::string::npos);
  CHECK(said(404, one("X\\u001b", "y")).find("x\\x1b: y") != std::string::npos);
  CHECK(said(404, one(std::string(9000, 'A'), std::string(9000, 'b'))).size() < 400);
  std::string many = R"({"errors":[{"code":"A"})";
  for (int each = 0; each < 200; ++each) many += R"(,{"code":"A"})";
  CHECK(parse_errors(many + "]}").size() == 10);
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string(R"({"errors":{}})"),
        std::string(R"({"errors":[1,null,"x",[]]})"), std::string(R"({"errors":[{"code":7,"message":{}}]})"),
        std::string(R"({"errors":[{"code":"A","code":"B"}]})"), std::string("{\"errors\":[{\"code\":\"\xff\"}]}"),
        std::string(500'000, '['), std::string(2 << 20, ' ')}) {
    CAPTURE(bad.substr(0, 80));
    CHECK(parse_errors(bad).empty());
    CHECK(said(404, bad) == "pull docker.io/library/x: not found, status 404 (check the name and the tag)");
  }
}
