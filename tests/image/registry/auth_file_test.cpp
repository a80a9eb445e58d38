// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/auth_file.hpp>

#include <doctest/doctest.h>

#include <mortise/image/registry/base64.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using mortise::message;
using mortise::image::distribution::auth_file;
using mortise::image::distribution::auth_form;
using mortise::image::distribution::credential;
using mortise::image::distribution::encode_base64;
using mortise::image::distribution::helper_query;
using mortise::model::repository_name;

namespace {

/// The ways as text: "user=..." by an entry, "helper:server".
std::string ways(const std::string& text, const char* name, auth_form form = auth_form::config) {
  const auto file = auth_file::parse(text, "'f'", form);
  if (!file.ok()) return std::string(message(file.status()));
  const auto found = file->find(repository_name::parse(name).value());
  if (!found.ok()) return std::string(message(found.status()));
  std::string out;
  for (const auto& each : *found) {
    if (!out.empty()) out += ' ';
    if (const auto* const asked = std::get_if<helper_query>(&each)) out += asked->name + ':' + asked->server;
    if (const auto* const own = std::get_if<credential>(&each))
      out += own->username + '=' + std::string(own->password.reveal());
  }
  return out;
}

std::string entry(const std::string& key, const std::string& user) {
  return '"' + key + R"(":{"auth":")" + encode_base64(user + ":p") + "\"}";
}
std::string auths(const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) out += (out.empty() ? "" : ",") + entry(key, key.substr(key.find("//") + 1));
  return R"({"auths":{)" + out + "}}";
}
std::string one(const std::string& members) { return R"({"auths":{"a.example":{)" + members + "}}}"; }

}  // namespace

TEST_CASE("auth file: the longest key answers") {
  const std::string text =
      auths({"r.example", "r.example/team", "r.example/team/app", "other.example", "r.example:5000"});
  CHECK(ways(text, "r.example/x") == "r.example=p");
  CHECK(ways(text, "r.example/team/x") == "r.example/team=p");
  CHECK(ways(text, "r.example/team/app") == "r.example/team/app=p");
  CHECK(ways(text, "r.example/team/app/sub") == "r.example/team/app=p");
  CHECK(ways(text, "r.example/team/apples") == "r.example/team=p");
  CHECK(ways(text, "r.example/teams") == "r.example=p");
  CHECK(ways(text, "r.example.evil/x").empty());
  CHECK(ways(text, "evil-r.example/x").empty());
  CHECK(ways(text, "r.example:5001/x").empty());
  CHECK(ways(text, "busybox").empty());
  CHECK(ways(auths({""}), "r.example/x").empty());
  CHECK(ways(auths({"/"}), "r.example/x").empty());
}

TEST_CASE("auth file: keys of old") {
  CHECK(ways(R"({"auths":{)" + entry("https://index.docker.io/v1/", "hub") + "}}", "busybox") == "hub=p");
  CHECK(ways(R"({"auths":{)" + entry("registry-1.docker.io", "hub") + "}}", "busybox") == "hub=p");
  CHECK(ways(R"({"auths":{)" + entry("docker.io/library", "hub") + "}}", "busybox") == "hub=p");
  CHECK(ways(R"({"auths":{)" + entry("docker.io/library", "hub") + "}}", "me/busybox").empty());
  CHECK(ways(R"({"auths":{)" + entry("https://R.example:5000/v2/", "u") + "}}", "r.example:5000/x") == "u=p");
  CHECK(ways(R"({"auths":{)" + entry("http://r.example/v1", "u") + "}}", "r.example/x") == "u=p");
  CHECK(ways(R"({"auths":{)" + entry("https://r.example/team", "u") + "}}", "r.example/x").empty());
  CHECK(ways(R"({"auths":{)" + entry("https://r.example", "old") + "," + entry("r.example", "new") + "}}",
             "r.example/x") == "new=p");
  CHECK(ways(R"({"auths":{)" + entry("r.example", "new") + "," + entry("https://r.example", "old") + "}}",
             "r.example/x") == "new=p");
  CHECK(ways("{" + entry("https://index.docker.io/v1/", "hub") + "}", "busybox", auth_form::legacy) == "hub=p");
}

TEST_CASE("auth file: helpers go first") {
  const std::string text = R"({"credsStore":"store","credHelpers":{"r.example":"own","none.example":""},"auths":{)" +
                           entry("r.example", "u") + "," + entry("none.example", "n") + R"(,"docker.io":{}}})";
  CHECK(ways(text, "r.example/x") == "own:r.example u=p");
  CHECK(ways(text, "other.example/x") == "store:other.example");
  CHECK(ways(text, "none.example/x") == "n=p");
  CHECK(ways(text, "busybox") == "store:https://index.docker.io/v1/ store:docker.io");
  CHECK(ways(R"({"credHelpers":{"r.example/team":"own"}})", "r.example/team/x") == "own:r.example/team");
  CHECK(ways(R"({"credHelpers":{"r.example/team":"own"}})", "r.example/x").empty());
}

TEST_CASE("auth file: a variable has no program run") {
  CHECK(ways(R"({"credsStore":"evil","credHelpers":{"r.example":"evil"},"auths":{)" + entry("r.example", "u") + "}}",
             "r.example/x", auth_form::environment) == "u=p");
}

TEST_CASE("auth file: a helper's name is no path") {
  for (const char* const bad : {"../evil", "a/b", "a b", "a;b", "$(x)", "a\\nb", "\\u0000"}) {
    CAPTURE(bad);
    const std::string text = R"({"credHelpers":{"r.example":")" + std::string(bad) + "\"}}";
    CHECK(ways(text, "r.example/x").find("parse 'f'") != 0);
    CHECK((ways(text, "r.example/x").find("cannot be a credential helper's name") != std::string::npos ||
           ways(text, "r.example/x").find("zero byte") != std::string::npos));
    CHECK(ways(text, "other.example/x").empty());
  }
  CHECK(ways(R"({"credsStore":")" + std::string(65, 'a') + "\"}", "x").find("cannot be") != std::string::npos);
}

TEST_CASE("auth file: the ways to write a credential") {
  const auto read = [](const std::string& members) {
    const auto found = auth_file::parse(one(members), "'f'")->find(repository_name::parse("a.example/x").value());
    REQUIRE_MESSAGE(found.ok(), message(found.status()));
    REQUIRE(found->size() == 1);
    return std::get<credential>(found->front());
  };
  CHECK(read(R"("username":"u","password":"p:q")").password.reveal() == "p:q");
  CHECK(read(R"("auth":")" + encode_base64("u:p:q") + "\"").password.reveal() == "p:q");
  CHECK(read(R"("auth":")" + encode_base64("u:p:q") + R"(","username":"other")").username == "u");
  CHECK(read(R"("auth":")" + encode_base64(std::string("u:p\0\0", 5)) + "\"").password.reveal() == "p");
  CHECK(read(R"("identitytoken":"i")").identity_token.reveal() == "i");
  CHECK(read(R"("registrytoken":"r")").registry_token.reveal() == "r");
  CHECK(ways(one(R"("email":"e@x")"), "a.example/x").empty());
  CHECK(ways(R"({"auths":{"a.example":null}})", "a.example/x").empty());
}

TEST_CASE("auth file: what is broken is said without the secret, and only where it is used") {
  for (const std::string& bad :
       {std::string(R"("auth":"hunter2!")"), std::string(R"("auth":"aHVudGVyMg")"),
        std::string(R"("auth":"aHVudGVyMg==")"), std::string(R"("auth":7)"),
        std::string(R"("username":"a:b","password":"hunter2")"),
        std::string(R"("username":"a\n","password":"hunter2")"),
        std::string(R"("username":"a","password":"hunter2\r\n")"), std::string(R"("identitytoken":"hunter2\n")")}) {
    CAPTURE(bad);
    const std::string said = ways(one(bad), "a.example/x");
    CHECK(said.starts_with("read credentials in 'f': at 'auths.a.example"));
    CHECK(said.find("hunter2") == std::string::npos);
    CHECK(said.find("aHVudGVyMg") == std::string::npos);
    CHECK(ways(one(bad), "b.example/x").empty());
  }
  CHECK(ways("", "x").starts_with("parse 'f': not JSON"));
  CHECK(ways("[]", "x").find("must be an object") != std::string::npos);
  CHECK(ways(R"({"auths":[]})", "x").find("at 'auths': it must be an object") != std::string::npos);
  CHECK(ways(R"({"credsStore":{}})", "x").find("at 'credsStore': it must be a string") != std::string::npos);
  CHECK(ways(R"({"auths":)" + std::string(100'000, '['), "x").find("parse 'f': ") == 0);
  CHECK(ways(std::string(2 << 20, ' '), "x").find("longer than 1048576") != std::string::npos);
}
