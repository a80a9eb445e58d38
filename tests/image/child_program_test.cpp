// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/child_program.hpp>

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <chrono>
#include <string>
#include <support/leaks.hpp>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using mortise::image::child_program;
using mortise::image::find_program;
using mortise::image::program_call;
using mortise::image::program_limits;
using std::chrono::milliseconds;

namespace {

/// What a script writes, or what went wrong.
std::string run(const std::string& script, program_call what = {}, const program_limits& most = {}) {
  what.path = "/bin/sh";
  what.arguments.insert(what.arguments.begin(), {"-c", script});
  child_program child;
  const absl::Status started = child.start(what);
  if (!started.ok()) return std::string(message(started));
  const auto result = child.finish(most);
  if (!result.ok()) return std::string(message(result.status()));
  return mortise::concat(result->output, '|', result->complaint, '|', result->end.by_signal ? "signal " : "",
                         result->end.number);
}

}  // namespace

TEST_CASE("child program: arguments, input, variables, and nothing of ours") {
  const support::leak_snapshot before;
  CHECK(run("echo $0 $1; cat; exit 3", {.arguments = {"a b", "$HOME"}, .input = "in"}) == "a b $HOME\nin||3");
  CHECK(run("/usr/bin/env", {.variables = {"A=1", "B=x y"}}).find("A=1\nB=x y\n") != std::string::npos);
  CHECK(run("echo bad >&2; kill -9 $$") == "|bad\n|signal 9");
  CHECK(run("ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 ||0");  // 3 is the directory that ls reads
  CHECK(before.leaked() == "");
}

TEST_CASE("child program: descriptors that it is given are its third and those behind it") {
  std::vector<mortise::sys::unique_fd> files;
  for (const std::string text : {"one", "two"}) {
    files.emplace_back(::memfd_create("test", MFD_CLOEXEC));
    REQUIRE(mortise::sys::write_all(files.back().get(), text).ok());
  }
  CHECK(run("cat /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/3", {.files = {files[0].get(), files[1].get()}}) ==
        "onetwoone||0");
}

TEST_CASE("child program: time and output are bounded, and its session ends with it") {
  const support::leak_snapshot before;
  CHECK(run("sleep 60 & sleep 60", {}, {.time = milliseconds(200)}) == "no answer within 200 ms");
  CHECK(run("yes", {}, {.output = 10'000}) == "it says more than 10000 bytes");
  CHECK(run("yes >&2", {}, {.time = milliseconds(200)}) == "no answer within 200 ms");
  CHECK(run("echo 1234567 >&2", {}, {.complaint = 4}) == "|1234|0");
  CHECK(before.leaked() == "");
}

TEST_CASE("child program: one that is not there") {
  child_program child;
  CHECK(message(child.start({.path = "/no/such", .arguments = {}})) == "run '/no/such': No such file or directory");
  CHECK(find_program("sh", "relative:/nowhere:/bin", "")->ends_with("/bin/sh"));
  CHECK(find_program("sh", std::nullopt, "").ok());
  const auto missing = find_program("sh", "bin:.::/nowhere", "install it");
  CHECK(missing.status().code() == absl::StatusCode::kNotFound);
  CHECK(message(missing.status()) == "find 'sh': it is in no absolute directory of $PATH (install it)");
  CHECK_FALSE(find_program("tmp", "/", "").ok());
}
