// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/keyring.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <string_view>
#include <support/temporary.hpp>

using absl::StatusCode;
using mortise::image::distribution::credential;
using mortise::image::distribution::environment;
using mortise::image::distribution::keyring;
using mortise::image::distribution::secret;
using mortise::model::repository_name;

namespace {

credential user(std::string_view name) { return {std::string(name), secret(std::string_view("p")), {}, {}}; }

/// The user that a keyring knows for a repository; "-" for none.
std::string who(const keyring& keys, std::string_view name) {
  const auto found = keys.find(repository_name::parse(name).value());
  if (!found.ok()) return std::string(mortise::message(found.status()));
  return *found ? (*found)->username : "-";
}

void write(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

/// A home with files of credentials, and programs.
struct home {
  support::temporary_directory place;
  environment variables{"HOME=" + place.path(), "XDG_RUNTIME_DIR=" + place.path() + "/run", "PATH=" + place.path(),
                        "DOCKER_CONFIG=" + place.path()};
};

}  // namespace

TEST_CASE("keyring: what the program gives decides before all files, the nearest first") {
  home here;
  write(here.place / "config.json", R"({"auths":{"r.example.com":{"username":"file","password":"p"}}})");
  const keyring keys({{"r.example.com/team", user("team")}, {"r.example.com/team/app", user("app")}}, here.variables);
  CHECK(who(keys, "r.example.com/team/app") == "app");
  CHECK(who(keys, "r.example.com/team/other") == "team");
  CHECK(who(keys, "r.example.com/teams") == "file");
  CHECK(who(keys, "q.example.com/team") == "-");
  const keyring hub({{"docker.io", user("hub")}}, here.variables);
  CHECK(who(hub, "busybox") == "hub");
}

TEST_CASE("keyring: Docker Hub's key") {
  home here;
  write(here.place / "config.json", R"({"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnA="}}})");
  CHECK(who(keyring({}, here.variables), "busybox") == "hub");
  CHECK(who(keyring({}, here.variables), "r.example.com/busybox") == "-");
}

TEST_CASE("keyring: helpers, one without credentials passing on to what comes next") {
  home here;
  write(here.place / "config.json",
        R"({"credsStore":"test","auths":{"r.example.com":{"username":"file","password":"p"}}})");
  const std::string helper = here.place / "docker-credential-test";
  write(helper,
        "#!/bin/sh\nread -r server\ncase $server in\n"
        "h.example.com) echo '{\"Username\":\"helped\",\"Secret\":\"s\"}';;\n"
        "b.example.com) echo broken >&2; exit 2;;\n"
        "*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n");
  ::chmod(helper.c_str(), 0755);
  const keyring keys({}, here.variables);
  CHECK(who(keys, "h.example.com/x") == "helped");
  CHECK(who(keys, "r.example.com/x") == "file");
  CHECK(who(keys, "n.example.com/x") == "-");
  CHECK(who(keys, "b.example.com/x").find("broken") != std::string::npos);
}

TEST_CASE("keyring: nothing is nothing, and what cannot be read is said") {
  home here;
  CHECK(who(keyring({}, here.variables), "busybox") == "-");
  write(here.place / "config.json", "{");
  CHECK(keyring({}, here.variables).find(repository_name::parse("busybox").value()).status().code() ==
        StatusCode::kInvalidArgument);
}
