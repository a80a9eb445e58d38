// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/program.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <mortise/model/plan_text.hpp>
#include <support/leaks.hpp>

using mortise::launch::stream;
using mortise::launch::streams;

TEST_CASE("program: candidates are tried as execvp(3) does" * doctest::test_suite("unprivileged")) {
  using names = std::vector<std::string>;
  const auto candidates = [](std::string name, names environment) {
    mortise::model::program what;
    what.arguments = {std::move(name)};
    what.environment = std::move(environment);
    return mortise::launch::candidates_of(what);
  };
  CHECK(candidates("/bin/sh", {"PATH=/x"}) == names{"/bin/sh"});
  CHECK(candidates("./sh", {"PATH=/x"}) == names{"./sh"});
  CHECK(candidates("sh", {"A=b", "PATH=/x:/y"}) == names{"/x/sh", "/y/sh"});
  CHECK(candidates("sh", {"PATH=/x:"}) == names{"/x/sh", "sh"});
  CHECK(candidates("sh", {}).size() == 6);
  CHECK(candidates("sh", {"PATH="}).empty());
}

TEST_CASE("program: as operations" * doctest::test_suite("unprivileged")) {
  mortise::model::plan plan;
  mortise::launch::add_program({{"sh", "-c", "x"}, {"PATH=/bin"}, "/work", "1", "2"}, plan);
  CHECK(
      mortise::model::to_text(plan) ==
      "clone flags 0x0\ndirectory\n  change to directory '/work'\nuser\n  become user '1:2'\nexecute\n  execute 'sh'\n"
      "      candidate /bin/sh\n      argument sh\n      argument -c\n      argument x\n      environment PATH=/bin\n");
}

TEST_CASE("program: streams open what they need and keep nothing else" * doctest::test_suite("unprivileged")) {
  const support::leak_snapshot before;
  {
    mortise::model::plan plan;
    auto opened = streams::open({stream::pipe(), stream::null(), stream::descriptor(2)}, plan);
    REQUIRE(opened.ok());
    CHECK(plan.at(mortise::model::stage::stdio).size() == 3);
    for (const auto& each : plan.at(mortise::model::stage::stdio))
      CHECK(std::get<mortise::model::op::redirect>(each).from >= 3);
    auto input = opened->take(0);
    REQUIRE(input);
    CHECK(!opened->take(1));
    opened->spawned();
    CHECK(::fcntl(2, F_GETFD) >= 0);
  }
  mortise::model::plan plan;
  const auto refused = streams::open({stream::pipe(), stream::file("/nowhere/x"), stream::null()}, plan);
  CHECK(mortise::message(refused.status()) == "open standard stream 1: open '/nowhere/x': No such file or directory");
  CHECK(before.leaked() == "");
}
