// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/child.hpp>

#include <doctest/doctest.h>

#include <launch/plans.hpp>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>

namespace op = mortise::model::op;
using mortise::model::plan;
using mortise::model::stage;

namespace {

/// Runs a plan's stages in this process, without clone; the failure, or "".
std::string run_here(const plan& what, stage last) {
  mortise::launch::child_memory memory(what);
  mortise::launch::report report;
  if (mortise::launch::child(what, memory, report).run_until(last) >= 0) return {};
  return mortise::concat(report.operation, ' ', report.step, ' ', report.error);
}

}  // namespace

TEST_CASE("child: stages run in order, up to the last that is asked for") {
  if (support::missing_root()) return;
  plan what;
  what.clone_flags = CLONE_NEWUTS;
  what.add(stage::limits, op::set_limit{RLIMIT_CORE, 0, 0});
  what.add(stage::network, op::set_hostname{"first"});
  what.add(stage::execute, op::execute{{"/nowhere"}, {"x"}, {}});
  const auto seen = support::in_child({.namespaces = CLONE_NEWUTS}, [&] {
    const std::string failed = run_here(what, stage::network);
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    char name[65] = {};
    ::gethostname(name, sizeof name);
    return mortise::concat(name, failed, ' ', core.rlim_cur == 0 ? 0 : 1, ' ', run_here(what, stage::execute));
  });
  CHECK(seen.text.starts_with("first"));
  CHECK(seen.text.ends_with(" 2 execve 2"));  // the third operation
}

TEST_CASE("child: descriptors are closed on exec also where close_range has no flag for it" *
          doctest::test_suite("unprivileged")) {
  for (const int error : {ENOSYS, EINVAL}) {
    const auto flags = support::deny({SYS_close_range}, error, [] {
      const int open_fd = ::dup(0);
      const std::string failed = run_here(plan{}, stage::record);
      return failed.empty() && ::fcntl(open_fd, F_GETFD) == FD_CLOEXEC && ::fcntl(0, F_GETFD) == 0;
    });
    CHECK(flags.ok());
  }
}

TEST_CASE("child: HOME comes from the root's passwd unless the environment has one" *
          doctest::test_suite("unprivileged")) {
  plan what;
  what.add(stage::execute, op::execute{{"x"}, {"x"}, {"A=b"}});
  const mortise::launch::child_memory without(what);
  CHECK(std::string(without.environment.at(1)) == "HOME=/");
  CHECK(without.environment.back() == nullptr);
  plan with_home;
  with_home.add(stage::execute, op::execute{{"x"}, {"x"}, {"HOME=/x"}});
  const mortise::launch::child_memory with(with_home);
  CHECK(with.environment_has_home);
  CHECK(with.environment.size() == 2);
}

TEST_CASE("child: supplementary groups are refused, and said so, where they cannot be set") {
  if (support::missing_user_namespaces()) return;
  plan what = plans::run({"/bin/true"});
  what.clone_flags = CLONE_NEWUSER;
  what.add(stage::identity,
           op::map_identity{mortise::concat("0 ", ::geteuid(), " 1\n"), mortise::concat("0 ", ::getegid(), " 1\n")});
  const auto becoming = [&](op::become who) {
    plan all = what;
    all.add(stage::user, std::move(who));
    std::get<op::execute>(const_cast<mortise::model::operation&>(all.at(stage::execute).front())).environment = {
        "HOME=/"};
    return plans::play(all).second;
  };
  CHECK(becoming({"0", "0", {}}) == "");
  CHECK(becoming({"0", "0", {7}}) ==
        "become user '0:0': setgroups: a user namespace without privileges has no supplementary groups");
  CHECK(becoming({"1000", "0", {}}) ==
        "become user '1000:0': setresuid: the container's user namespace has no such id");
  CHECK(becoming({"0", "1000", {}}) ==
        "become user '0:1000': setresgid: the container's user namespace has no such id");
}
