// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/process.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

namespace sys = mortise::sys;

namespace {
std::chrono::steady_clock::time_point in_ms(int count) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(count);
}
}  // namespace

TEST_CASE("process: an identity is read whatever the name" * doctest::test_suite("unprivileged")) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20\n";
  CHECK(sys::parse_stat("42 (name)" + rest) == sys::process_identity{42, 777});
  CHECK(sys::parse_stat("42 (a) S 1 (b) )" + rest) == sys::process_identity{42, 777});
  for (const std::string& bad :
       {std::string(), std::string("42"), "x (n)" + rest, std::string("42 (n) S 1 2"), std::string(") 1 (")})
    CHECK(!sys::parse_stat(bad));
}

TEST_CASE("process: waits, signals, reaps, and knows one from the next of its number" *
          doctest::test_suite("unprivileged")) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto who = sys::parse_stat(sys::read_file(mortise::concat("/proc/", child, "/stat"), 4096).value());
  REQUIRE(who);
  auto fd = sys::open_process(*who);
  REQUIRE(fd.ok());
  CHECK(absl::IsNotFound(sys::open_process(sys::process_identity{child, who->start_time + 1}).status()));
  CHECK(sys::wait_for_end(fd->get(), in_ms(5)).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(sys::signal_process(fd->get(), SIGKILL).ok());
  CHECK(sys::wait_for_end(fd->get(), in_ms(30'000)).ok());
  CHECK(sys::signal_process(fd->get(), SIGKILL).ok());  // a zombie takes it
  const auto ended = sys::reap(fd->get());
  REQUIRE(ended.ok());
  CHECK((ended->by_signal && ended->number == SIGKILL));
  CHECK(mortise::errno_of(sys::signal_process(fd->get(), SIGKILL)) == ESRCH);
  const auto again = sys::reap(fd->get());  // Linux 6.15 remembers
  CHECK((again.ok() ? again->number == SIGKILL : mortise::errno_of(again.status()) == ECHILD));
  CHECK(absl::IsNotFound(sys::open_process(*who).status()));
}

TEST_CASE("process: somebody else's child is not reaped" * doctest::test_suite("unprivileged")) {
  const auto parent = sys::open_process(::getppid());
  REQUIRE(parent.ok());
  const auto refused = sys::reap(parent->get());
  CHECK(mortise::message(refused.status()) ==
        "reap process: No child processes (it is no child, or was reaped already: is SIGCHLD ignored?)");
}
