// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <container/box.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

using boxes::open_host;
using boxes::plain_box;
using boxes::run_script;
using mortise::launch::stream;

namespace {

std::chrono::steady_clock::time_point in_ms(int count) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(count);
}

/// Whether the scene's state and roots hold nothing of a container.
std::string left_in(const boxes::scene& place) {
  std::string found;
  const auto add = [&](std::string_view name, unsigned char) {
    if (name != "lock") mortise::append(found, name, '\n');
    return absl::OkStatus();
  };
  boxes::check(mortise::sys::for_each_entry(AT_FDCWD, place.host_options().state, add));
  const std::string boot = *mortise::state::boot_id();
  boxes::check(mortise::sys::for_each_entry(AT_FDCWD, place / ("data/containers/" + boot), add));
  return found;
}

}  // namespace

TEST_CASE("container: runs a program in a root of its own and leaves nothing") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const support::leak_snapshot before;
  const auto ran = run_script(place, "echo hello; echo $$; ls /; exit 7");
  CHECK(ran.message() == "");
  CHECK(ran.code == 7);
  CHECK(ran.text == "hello\n1\nbin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\n");
  CHECK(left_in(place) == "");
  CHECK(before.leaked() == "");
}

TEST_CASE("container: what it writes is its own") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  CHECK(run_script(place, "echo mine > /tmp/file && mkdir /new && cat /tmp/file").text == "mine\n");
  CHECK(run_script(place, "cat /tmp/file").code == 1);
  CHECK(::access((place.image() + "/tmp/file").c_str(), F_OK) != 0);
}

TEST_CASE("container: wait, deadline, kill, and what a signal leaves as code") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = open_host<plain_box>(place);
  auto box = host.launch({.image = place.image(), .args = {"/bin/sleep", "1000"}});
  REQUIRE_MESSAGE(box.ok(), box.status().ToString());
  CHECK(box->wait(in_ms(30)).status().code() == absl::StatusCode::kDeadlineExceeded);
  pollfd waiting{box->pidfd(), POLLIN, 0};
  CHECK(::poll(&waiting, 1, 0) == 0);
  CHECK(::kill(box->pid(), 0) == 0);
  CHECK(box->kill(SIGKILL).ok());
  const auto ended = box->wait();
  REQUIRE(ended.ok());
  CHECK(ended->signal() == SIGKILL);
  CHECK(ended->code() == 137);
  CHECK(*box->wait() == *ended);
  CHECK(box->kill(SIGTERM).ok());
  CHECK(::poll(&waiting, 1, 0) == 1);
  CHECK(box->destroy().ok());
  CHECK(box->destroy().ok());
  CHECK(left_in(place) == "");
}

TEST_CASE("container: destroy ends what runs, however many there are; so does the destructor") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const support::leak_snapshot before;
  {
    auto host = open_host<plain_box>(place);
    // Not for ever: were destroy to fail, the machine would have to live with it.
    const std::string bomb =
        "i=0; while [ $i -lt 60 ]; do (sleep 1000 & sleep 1000 &) ; i=$((i+1)); done; echo full; wait; sleep 1000";
    auto ends = mortise::sys::make_pipe();
    REQUIRE(ends.ok());
    auto box = host.launch({.image = place.image(),
                            .args = {"/bin/sh", "-c", bomb},
                            .stdio = {stream::null(), stream::descriptor(ends->write.get()), stream::inherit()}});
    REQUIRE_MESSAGE(box.ok(), box.status().ToString());
    ends->write.reset();
    char text[6] = {};
    REQUIRE(::read(ends->read.get(), text, 5) == 5);
    CHECK(box->destroy().ok());
    CHECK(::read(ends->read.get(), text, 5) == 0);  // nobody is left to hold the other end
    auto second = host.launch({.image = place.image(), .args = {"/bin/sleep", "1000"}});
    REQUIRE(second.ok());
    plain_box moved = *std::move(second);
    CHECK(::kill(moved.pid(), 0) == 0);
  }
  CHECK(left_in(place) == "");
  CHECK(before.leaked() == "");
}

TEST_CASE("container: outlives its host object, never its handle") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto launched = [&] {
    auto host = open_host<plain_box>(place);
    return host.launch({.image = place.image(), .args = {"/bin/sleep", "1000"}});
  }();
  REQUIRE(launched.ok());
  CHECK(launched->wait(in_ms(1)).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(launched->destroy().ok());
  CHECK(left_in(place) == "");
}

TEST_CASE("container: what cannot be run is told apart, and leaves nothing") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  boxes::scene place;
  place.write("bin/plain", "no program", 0644);
  const support::leak_snapshot before;
  const auto try_to_run = [&](const std::string& program) {
    const auto ran = run_script(place, "", {.args = {program}, .id = *mortise::container_id::parse("x")});
    const auto operation = ran.status.GetPayload(mortise::to_absl(mortise::launch::operation_payload));
    CHECK((operation && *operation == "execute"));
    CHECK(ran.message() == "launch container 'x': execute '" + program +
                               "': execve: " + mortise::errno_text(mortise::errno_of(ran.status)));
    return mortise::errno_of(ran.status);
  };
  CHECK(try_to_run("/bin/absent") == ENOENT);
  CHECK(try_to_run("absent") == ENOENT);
  CHECK(try_to_run("/bin/plain") == EACCES);
  CHECK(try_to_run("plain") == EACCES);
  CHECK(try_to_run("/etc/passwd/x") == ENOENT);  // as execvp(3): what is not there
  CHECK(left_in(place) == "");
  CHECK(before.leaked() == "");
}

TEST_CASE("container: bad requests are refused before anything runs") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = open_host<plain_box>(place);
  const auto refused = [&](const plain_box::launch_options& options) {
    const auto box = host.launch(options);
    CHECK(!box.ok());
    return std::string(mortise::message(box.status()));
  };
  const auto id = *mortise::container_id::parse("x");
  CHECK(refused({.image = place.image(), .id = id}) ==
        "launch container 'x': run program: nothing to run: the image names no program (give one)");
  CHECK(refused({.image = "relative", .args = {"/bin/true"}}) ==
        "use directory 'relative' as an image: it must be an absolute path");
  CHECK(refused({.image = place.image(), .args = {"/bin/true"}, .env = {"novalue"}, .id = id}) ==
        "launch container 'x': run program: environment 'novalue' is not of the form NAME=VALUE");
  CHECK(refused({.image = place.image(), .args = {"/bin/true"}, .working_directory = "tmp", .id = id}) ==
        "launch container 'x': run program: working directory 'tmp' is not an absolute path");
  CHECK(left_in(place) == "");
}

TEST_CASE("container: an id names one container at a time") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = open_host<plain_box>(place);
  const plain_box::launch_options options{
      .image = place.image(), .args = {"/bin/sleep", "1000"}, .id = *mortise::container_id::parse("one")};
  auto first = host.launch(options);
  REQUIRE(first.ok());
  const auto second = host.launch(options);
  CHECK(second.status().code() == absl::StatusCode::kAlreadyExists);
  CHECK(mortise::message(second.status()) ==
        "launch container 'one': create container 'one': the id is in use (choose another, or recover)");
  CHECK(first->wait(in_ms(1)).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(first->destroy().ok());
  CHECK(host.launch(options).ok());
}

TEST_CASE("container: the image's directory is made where the working directory is missing") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  CHECK(run_script(place, "pwd", {.working_directory = "/new/one"}).text == "/new/one\n");
}

TEST_CASE("container: environment and HOME") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const auto ran = run_script(place, "echo $A $HOME $PATH", {.env = {"A=b"}, .user = "user"});
  CHECK(ran.text == "b /home/user " + std::string(mortise::model::default_path) + '\n');
  CHECK(run_script(place, "echo $HOME", {.env = {"HOME=/x"}}).text == "/x\n");
}

TEST_CASE("container: a directory of somebody else's is refused for the state") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const std::string state = directory / "state";
  REQUIRE(::mkdir(state.c_str(), 0777) == 0);
  REQUIRE(::chmod(state.c_str(), 0777) == 0);
  const auto writable = plain_box::host::open({directory / "data", state});
  CHECK(writable.status().code() == absl::StatusCode::kPermissionDenied);
  CHECK(mortise::message(writable.status()) ==
        "use directory '" + state + "': it must be a directory of the caller's own that nobody else can write");
  REQUIRE((::chmod(state.c_str(), 0700) == 0 && ::chown(state.c_str(), 1000, 1000) == 0));
  CHECK(plain_box::host::open({directory / "data", state}).status().code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("container: roots of earlier boots are swept, this boot's are not") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = open_host<plain_box>(place);
  const std::string old = place / "data/containers/an-earlier-boot/box";
  REQUIRE(mortise::sys::make_directories(old).ok());
  auto box = host.launch({.image = place.image(), .args = {"/bin/sleep", "1000"}});
  REQUIRE(box.ok());
  CHECK(host.sweep().ok());
  CHECK(::access((place / "data/containers/an-earlier-boot").c_str(), F_OK) != 0);
  CHECK(left_in(place).find('\n' + box->id().text() + '-') != std::string::npos);
  CHECK(box->destroy().ok());
}

TEST_CASE("container: programs that share images and roots may choose the same id") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const auto options = [&] {
    return plain_box::launch_options{
        .image = place.image(), .args = {"/bin/sleep", "1000"}, .id = *mortise::container_id::parse("build")};
  };
  auto host = open_host<plain_box>(place);
  auto other = plain_box::host::open({place.host_options().directory, place / "other-state"});
  REQUIRE(other.ok());
  auto box = host.launch(options());
  REQUIRE_MESSAGE(box.ok(), box.status().ToString());
  auto others = other->launch(options());
  REQUIRE_MESSAGE(others.ok(), others.status().ToString());
  CHECK(others->destroy().ok());
  CHECK(left_in(place).find("\nbuild-") != std::string::npos);
  CHECK(box->destroy().ok());
  CHECK(left_in(place) == "");
}

TEST_CASE("container: the image that was found may change what is asked of the isolators, or be refused") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  plain_box::launch_options options;
  options.with.set(mortise::isolate::uts_namespace::hostname("asked"));
  std::string seen;
  options.adjust = [&seen](const mortise::model::image& image, plain_box::settings& with) {
    seen = image.location;
    with.set(mortise::isolate::uts_namespace::hostname("adjusted"));
    return absl::OkStatus();
  };
  CHECK(run_script(place, "hostname", options).text == "adjusted\n");
  CHECK(seen == place.image());
  options.adjust = [](const mortise::model::image&, plain_box::settings&) {
    return absl::FailedPreconditionError("not this image");
  };
  CHECK(run_script(place, "hostname", options).message() == "not this image");
  CHECK(left_in(place) == "");
}
