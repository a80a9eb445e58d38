// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/program.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <support/fork.hpp>

using mortise::model::image_config;
using mortise::model::make_program;
using texts = std::vector<std::string>;

namespace {
image_config image() {
  image_config config;
  config.entrypoint = {"/entry"};
  config.cmd = {"default"};
  config.env = {"A=1", "PATH=/image"};
  config.working_directory = "/work";
  config.user = "user:group";
  return config;
}
}  // namespace

TEST_CASE("program: the image's wishes, and the caller's over them") {
  const auto plain = make_program(image(), {});
  REQUIRE(plain.ok());
  CHECK(plain->arguments == texts{"/entry", "default"});
  CHECK(plain->environment == texts{"A=1", "PATH=/image"});
  CHECK((plain->working_directory == "/work" && plain->user == "user" && plain->group == "group"));
  const auto changed = make_program(image(), {{"x", "y"}, {}, {"A=2", "B=3", "B=4"}, "/other", "7"});
  REQUIRE(changed.ok());
  CHECK(changed->arguments == texts{"/entry", "x", "y"});
  CHECK(changed->environment == texts{"A=2", "PATH=/image", "B=4"});
  CHECK((changed->working_directory == "/other" && changed->user == "7" && changed->group.empty()));
  CHECK(make_program(image(), {{}, texts{"/new"}})->arguments == texts{"/new"});
  CHECK(make_program(image(), {{"x"}, texts{}})->arguments == texts{"x"});
}

TEST_CASE("program: an image without wishes") {
  const auto bare = make_program({}, {{"sh"}});
  REQUIRE(bare.ok());
  CHECK(bare->environment == texts{"PATH=" + std::string(mortise::model::default_path)});
  CHECK((bare->working_directory == "/" && bare->user == "0" && bare->group.empty()));
  CHECK(make_program({}, {{"sh"}, {}, {}, {}, ":5"})->user == "0");
}

TEST_CASE("program: what cannot be handed to the kernel is refused") {
  const auto refused = [](const mortise::model::program_options& options) {
    return std::string(mortise::message(make_program({}, options).status()));
  };
  CHECK(refused({}) == "run program: nothing to run: the image names no program (give one)");
  CHECK(refused({{""}}) == "run program: nothing to run: the image names no program (give one)");
  CHECK(refused({{std::string("a\0b", 3)}}) == "run program: a NUL byte in 'a\\x00b'");
  CHECK(refused({{"a"}, {}, {"=x"}}) == "run program: environment '=x' is not of the form NAME=VALUE");
  CHECK(refused({{"a"}, {}, {}, "x"}) == "run program: working directory 'x' is not an absolute path");
}

TEST_CASE("program: an image may state as many variables as its configuration has room for") {
  image_config many = image();
  for (int each = 0; each < 190'000; ++each) many.env.push_back("NAME" + std::to_string(each) + '=');
  const auto outcome = support::in_child({.cpu_seconds = 8}, [&] {
    const auto made = make_program(many, {{}, {}, {"NAME7=x"}, {}, {}});
    return std::to_string(made->environment.size()) + ' ' + made->environment[9];
  });
  CHECK(outcome.text == "190002 NAME7=x");
}
