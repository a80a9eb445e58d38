// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <support/fork.hpp>
#include <support/skip.hpp>

TEST_CASE("fork: brings back an exit code, a text, a Status") {
  CHECK(support::in_child([] { return 7; }).code == 7);
  CHECK(support::in_child([] { return true; }).ok());
  CHECK(support::in_child([] { return std::string(100'000, 'x'); }).text.size() == 100'000);
  const auto refused = support::in_child([] { return absl::NotFoundError("find it"); });
  CHECK(refused.code == 1);
  CHECK(refused.text == "find it");
}

TEST_CASE("fork: tells a signal, a deadline and an exception apart") {
  CHECK(support::in_child([] { ::raise(SIGKILL); }).signal == SIGKILL);
  const auto late = support::in_child({.deadline = std::chrono::milliseconds(20)}, [] { ::pause(); });
  CHECK(late.timed_out);
  CHECK(late.signal == SIGKILL);
  const auto threw = support::in_child([] { throw std::runtime_error("because"); });
  CHECK(threw.code == 99);
  CHECK(threw.text == "because");
}

TEST_CASE("fork: becomes another user, without its groups") {
  if (support::missing_root()) return;
  const auto who = support::in_child({.uid = support::nobody}, [] {
    return std::to_string(::getuid()) + ' ' + std::to_string(::getgid()) + ' ' +
           std::to_string(::getgroups(0, nullptr));
  });
  CHECK(who.text == "65534 65534 0");
}

TEST_CASE("fork: sets limits") {
  const auto result = support::in_child({.limits = {{RLIMIT_NOFILE, 3}}}, [] { return ::dup(0) < 0 ? errno : 0; });
  CHECK(result.code == EMFILE);
}

TEST_CASE("fork: enters namespaces, as root in a user namespace and as PID 1 in a PID namespace") {
  if (support::missing_user_namespaces() || support::always_threaded()) return;
  const support::child_options options{.namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS};
  const auto result =
      support::in_child(options, [] { return std::to_string(::getuid()) + std::to_string(::getpid()); });
  CHECK(result.text == "01");
  CHECK(support::in_child(options, [] { return 5; }).code == 5);
}
