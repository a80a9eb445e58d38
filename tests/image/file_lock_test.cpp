// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/file_lock.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <mortise/sys/fd.hpp>
#include <support/temporary.hpp>
#include <thread>
#include <utility>
#include <vector>

using mortise::image::file_lock;

namespace {
struct lock_place {
  support::temporary_directory place;
  mortise::sys::unique_fd directory = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY).value();
};
constexpr auto never = [] { return false; };
}  // namespace

TEST_CASE("file_lock: one holder at a time, and no file left behind") {
  const lock_place here;
  {
    const auto first = file_lock::try_acquire(here.directory.get(), "x");
    REQUIRE(first.ok());
    REQUIRE(first->has_value());
    const auto second = file_lock::try_acquire(here.directory.get(), "x");
    REQUIRE(second.ok());
    CHECK_FALSE(second->has_value());
    const auto other = file_lock::try_acquire(here.directory.get(), "y");
    CHECK(other->has_value());
  }
  CHECK(::access((here.place / "x").c_str(), F_OK) != 0);
  CHECK(file_lock::try_acquire(here.directory.get(), "x")->has_value());
}

TEST_CASE("file_lock: threads that make and remove it in turn never hold it together") {
  const lock_place here;
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::vector<std::jthread> threads;
  for (int each = 0; each < 4; ++each)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 25; ++turn) {
        const auto lock = file_lock::acquire(here.directory.get(), "x", never);
        const int now = ++inside;
        if (!lock.ok() || now > most) most = lock.ok() ? now : 100;
        --inside;
      }
    });
  threads.clear();
  CHECK(most == 1);
}

TEST_CASE("file_lock: a killed holder gives it back") {
  const lock_place here;
  auto ends = mortise::sys::make_pipe();
  REQUIRE(ends.ok());
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = file_lock::acquire(here.directory.get(), "x", never);
    mortise::sys::write_all(ends->write.get(), "x").IgnoreError();
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ends->read.get(), &byte, 1) == 1);
  CHECK_FALSE(file_lock::try_acquire(here.directory.get(), "x")->has_value());
  ::kill(child, SIGKILL);
  CHECK(file_lock::acquire(here.directory.get(), "x", never).ok());
  CHECK(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("file_lock: waiting can be given up") {
  const lock_place here;
  const auto held = file_lock::try_acquire(here.directory.get(), "x");
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  const auto waited =
      file_lock::acquire(here.directory.get(), "x", [&] { return std::chrono::steady_clock::now() > end; });
  CHECK(absl::IsCancelled(waited.status()));
}
