// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <signal.h>

#include <container/box.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

using boxes::plain_box;
using boxes::read_all;
using mortise::launch::stream;

namespace {

bool missing() { return support::missing_root() || support::missing_program("busybox"); }

/// Launches a script with these streams and waits for its end.
plain_box start(const boxes::scene& place, const std::string& script, std::array<stream, 3> stdio) {
  auto host = boxes::open_host<plain_box>(place);
  auto box = host.launch({.image = place.image(), .args = {"/bin/sh", "-c", script}, .stdio = std::move(stdio)});
  boxes::check(box.status());
  return *std::move(box);
}

std::string text_of(const std::string& path) {
  auto text = mortise::sys::read_file(path);
  boxes::check(text.status());
  return *std::move(text);
}

}  // namespace

TEST_CASE("stdio: pipes, each its own; a stream is taken once") {
  if (missing()) return;
  const boxes::scene place;
  auto box = start(place, "cat; echo error >&2", {stream::pipe(), stream::pipe(), stream::pipe()});
  auto input = box.take_stream(0);
  const auto output = box.take_stream(1);
  const auto errors = box.take_stream(2);
  CHECK(!box.take_stream(1));
  CHECK(mortise::sys::write_all(input.get(), "to and fro").ok());
  input.reset();
  CHECK(read_all(output.get()) == "to and fro");
  CHECK(read_all(errors.get()) == "error\n");
  CHECK(box.wait()->success());
}

TEST_CASE("stdio: files, emptied or appended to; null") {
  if (missing()) return;
  const boxes::scene place;
  const std::string in = place / "in";
  const std::string out = place / "out";
  REQUIRE(mortise::sys::write_all(mortise::sys::open(in, O_WRONLY | O_CREAT, 0644)->get(), "from a file\n").ok());
  const auto run = [&](const std::string& script, bool append) {
    CHECK(
        start(place, script, {stream::file(in), stream::file(out, append), stream::file(out, true)}).wait()->success());
    return text_of(out);
  };
  CHECK(run("cat", false) == "from a file\n");
  CHECK(run("echo 1; echo 2 >&2; echo 3", true) == "from a file\n1\n2\n3\n");
  CHECK(run("echo again", false) == "again\n");
  auto nothing = start(place, "cat; exit 3", {stream::null(), stream::null(), stream::null()});
  CHECK(nothing.wait()->code() == 3);
}

TEST_CASE("stdio: a file that cannot be opened is named, and nothing is launched") {
  if (missing()) return;
  const boxes::scene place;
  auto host = boxes::open_host<plain_box>(place);
  const support::leak_snapshot before;
  const auto box = host.launch({.image = place.image(),
                                .args = {"/bin/true"},
                                .stdio = {stream::file("/nowhere/in"), stream::null(), stream::null()},
                                .id = *mortise::container_id::parse("x")});
  CHECK(mortise::message(box.status()) ==
        "launch container 'x': open standard stream 0: open '/nowhere/in': No such file or directory");
  const auto bad = host.launch({.image = place.image(),
                                .args = {"/bin/true"},
                                .stdio = {stream::null(), stream::descriptor(12345), stream::null()},
                                .id = *mortise::container_id::parse("x")});
  CHECK(mortise::errno_of(bad.status()) == EBADF);
  CHECK(before.leaked() == "");
}

TEST_CASE("stdio: descriptors may cross, and the caller keeps its own") {
  if (missing()) return;
  const boxes::scene place;
  const auto crossed = support::in_child([&] {
    auto first = mortise::sys::make_pipe();
    auto second = mortise::sys::make_pipe();
    boxes::check(first.status());
    boxes::check(second.status());
    ::dup2(first->write.get(), 1);
    ::dup2(second->write.get(), 2);
    {
      auto box = start(place, "echo out; echo err >&2", {stream::null(), stream::descriptor(2), stream::descriptor(1)});
      boxes::check(box.wait()->success(), "wait");
    }
    boxes::check(::write(1, "mine", 4) == 4, "write");
    ::close(1);
    ::close(2);
    first->write.reset();
    second->write.reset();
    return read_all(first->read.get()) + read_all(second->read.get());
  });
  CHECK(crossed.text == "err\nmineout\n");
}

TEST_CASE("stdio: inherited; where the caller has none, the container has /dev/null and nothing of ours") {
  if (missing()) return;
  const boxes::scene place;
  const auto inherited = support::in_child([&] {
    auto ends = mortise::sys::make_pipe();
    boxes::check(ends.status());
    ::dup2(ends->write.get(), 1);
    ends->write.reset();
    {
      start(place, "echo inherited", {}).wait().IgnoreError();
    }
    ::close(1);
    return read_all(ends->read.get());
  });
  CHECK(inherited.text == "inherited\n");
  const std::string out = place / "out";
  const auto closed = support::in_child([&] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    auto box = start(place, "ls -l /proc/self/fd > /tmp/list; cat /tmp/list",
                     {stream::inherit(), stream::file(out), stream::inherit()});
    return box.wait()->code();
  });
  CHECK(closed.code == 0);
  const std::string list = text_of(out);
  CHECK(list.find(" 0 -> /dev/null") != std::string::npos);
  CHECK(list.find(" 2 -> /dev/null") != std::string::npos);
  CHECK(list.find("mortise") == std::string::npos);
  CHECK(list.find(" 4 -> ") == std::string::npos);
}

TEST_CASE("stdio: what a container said before it was killed is complete") {
  if (missing()) return;
  const boxes::scene place;
  auto box = start(place, "i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done; echo up; exec sleep 1000",
                   {stream::null(), stream::pipe(), stream::null()});
  const auto output = box.take_stream(1);
  std::string text(22'000 + 3, '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const auto more = mortise::sys::read_some(output.get(), std::as_writable_bytes(std::span(text)).subspan(got));
    REQUIRE(more.ok());
    if (*more == 0) break;
    got += *more;
  }
  CHECK(box.destroy().ok());
  const std::string rest = read_all(output.get());
  CHECK(text.substr(0, 22) == "0123456789\n0123456789\n");
  CHECK(text.substr(22'000) == "up\n");
  CHECK(rest.empty());
}
