// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/credentials.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <mortise/image/registry/base64.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/temporary.hpp>
#include <variant>
#include <vector>

using mortise::message;
using mortise::image::distribution::auth_form;
using mortise::image::distribution::auth_places;
using mortise::image::distribution::credential;
using mortise::image::distribution::encode_base64;
using mortise::image::distribution::environment;
using mortise::image::distribution::find_credentials;
using mortise::image::distribution::process_environment;
using mortise::image::distribution::variable;
using mortise::model::repository_name;

namespace {

std::vector<std::string> paths(const environment& in) {
  std::vector<std::string> out;
  for (const auto& each : auth_places(in, 1000)) out.push_back(each.path.empty() ? each.text : each.path);
  return out;
}

std::string config(const std::string& user) {
  return R"({"auths":{"r.example":{"auth":")" + encode_base64(user + ":p") + "\"}}}";
}

std::string users(const environment& in) {
  const auto found = find_credentials(in, 1000, repository_name::parse("r.example/x").value());
  if (!found.ok()) return std::string(message(found.status()));
  std::string out;
  for (const auto& each : *found) out += (out.empty() ? "" : " ") + std::get<credential>(each).username;
  return out;
}

void write(const std::string& path, const std::string& text) {
  const std::size_t slash = path.rfind('/');
  REQUIRE(mortise::sys::make_directories(path.substr(0, slash)).ok());
  const auto directory = mortise::sys::open(path.substr(0, slash), O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  REQUIRE(mortise::sys::replace_file_at(directory->get(), path.substr(slash + 1), text).ok());
}

}  // namespace

TEST_CASE("credentials: where they are looked for") {
  using list = std::vector<std::string>;
  CHECK(paths({}) == list{"/run/containers/1000/auth.json"});
  CHECK(paths({"HOME=/home/u"}) == list{"/run/containers/1000/auth.json", "/home/u/.config/containers/auth.json",
                                        "/home/u/.docker/config.json", "/home/u/.dockercfg"});
  CHECK(paths({"HOME=/home/u", "XDG_RUNTIME_DIR=/run/user/1", "XDG_CONFIG_HOME=/c", "DOCKER_CONFIG=/d",
               "DOCKER_AUTH_CONFIG={}", "REGISTRY_AUTH_FILE=f.json"}) ==
        list{"{}", "f.json", "/c/containers/auth.json", "/d/config.json", "/home/u/.dockercfg"});
  CHECK(paths({"XDG_RUNTIME_DIR=/run/user/1", "HOME="}) == list{"/run/user/1/containers/auth.json"});
  CHECK(paths({"XDG_RUNTIME_DIR=run", "HOME=home", "DOCKER_CONFIG=."}).empty());
  CHECK(auth_places({"DOCKER_AUTH_CONFIG={}"}, 0).front().form == auth_form::environment);
  CHECK(auth_places({"REGISTRY_AUTH_FILE=f"}, 0).front().asked_for);
  CHECK_FALSE(variable({"HOMES=1", "AHOME=2", "HOME="}, "HOME").has_value());
  CHECK(variable(process_environment(), "PATH").has_value());
}

TEST_CASE("credentials: the first place decides, the others follow") {
  const support::temporary_directory home;
  const environment in{"HOME=" + home.path(), "XDG_RUNTIME_DIR=" + home / "run", "REGISTRY_AUTH_FILE="};
  CHECK(users(in).empty());
  write(home / ".dockercfg", R"({"r.example":{"auth":")" + encode_base64("old:p") + "\"}}");
  CHECK(users(in) == "old");
  write(home / ".docker/config.json", config("docker"));
  write(home / ".config/containers/auth.json", config("configured"));
  write(home / "run/containers/auth.json", config("running"));
  CHECK(users(in) == "running configured docker old");
  environment more = in;
  more.push_back("DOCKER_AUTH_CONFIG=" + config("variable"));
  CHECK(users(more) == "variable running configured docker old");
}

TEST_CASE("credentials: a place that cannot be read is said, unless another has decided") {
  const support::temporary_directory home;
  const environment in{"HOME=" + home.path(), "XDG_RUNTIME_DIR=" + home / "run"};
  write(home / ".docker/config.json", "{");
  CHECK(users(in).starts_with("parse '" + home.path() + "/.docker/config.json': not JSON"));
  write(home / "run/containers/auth.json", config("running"));
  CHECK(users(in) == "running");
  CHECK(users({"REGISTRY_AUTH_FILE=" + home / "none"}).find("none': no such file (unset") != std::string::npos);
  CHECK(users({"DOCKER_AUTH_CONFIG=broken"}).starts_with("parse $DOCKER_AUTH_CONFIG: not JSON"));
  write(home / "big/config.json", std::string((1 << 20) + 1, ' '));
  CHECK(users({"DOCKER_CONFIG=" + home / "big"}).find("more than 1048576 bytes") != std::string::npos);
  REQUIRE(::mkdir((home / "pipe").c_str(), 0755) == 0);
  REQUIRE(::mkfifo((home / "pipe/config.json").c_str(), 0644) == 0);
  CHECK(users({"DOCKER_CONFIG=" + home / "pipe"}).find("not a regular file") != std::string::npos);
  // A file where a directory was thought to be is no file there.
  CHECK(users({"DOCKER_CONFIG=" + home / ".docker/config.json"}).empty());
}
