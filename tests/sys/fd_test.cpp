// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/fd.hpp>

#include <doctest/doctest.h>

#include <support/leaks.hpp>

namespace sys = mortise::sys;

TEST_CASE("fd: owned once, closed once" * doctest::test_suite("unprivileged")) {
  const support::leak_snapshot before;
  {
    auto ends = sys::make_pipe();
    REQUIRE(ends.ok());
    const int number = ends->read.get();
    CHECK(::fcntl(number, F_GETFD) == FD_CLOEXEC);
    sys::unique_fd moved = std::move(ends->read);
    CHECK(!ends->read);
    sys::unique_fd& same = moved;
    moved = std::move(same);
    CHECK(moved.get() == number);
    auto copy = sys::duplicate(number);
    REQUIRE(copy.ok());
    CHECK(copy->get() >= 3);
    CHECK(::fcntl(copy->get(), F_GETFD) == FD_CLOEXEC);
    CHECK(moved.close().ok());
    CHECK(!moved);
    CHECK(moved.close().ok());
    CHECK(::fcntl(number, F_GETFD) < 0);
    CHECK(sys::write_all(ends->write.get(), "text").ok());
    std::byte into[8];
    CHECK(*sys::read_some(copy->get(), into) == 4);
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("fd: failures name what was done" * doctest::test_suite("unprivileged")) {
  CHECK(mortise::message(sys::open("/nowhere", O_RDONLY).status()) == "open '/nowhere': No such file or directory");
  CHECK(mortise::message(sys::duplicate(-1).status()) == "duplicate file descriptor: Bad file descriptor");
  CHECK(mortise::message(sys::write_all(-1, "x")) == "write: Bad file descriptor");
  CHECK(mortise::message(sys::read_some(-1, {}).status()) == "read: Bad file descriptor");
}
