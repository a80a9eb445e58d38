// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/helper.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::distribution::ask_helper;
using mortise::image::distribution::environment;
using mortise::image::distribution::helper_limits;
using std::chrono::milliseconds;

namespace {

/// A directory with one helper, "docker-credential-x".
class helper_directory {
 public:
  explicit helper_directory(const std::string& script, const std::string& name = "x") {
    const auto at = mortise::sys::open(directory_.path(), O_RDONLY | O_DIRECTORY);
    REQUIRE(mortise::sys::replace_file_at(at->get(), "docker-credential-" + name, "#!/bin/sh\n" + script, false, 0755)
                .ok());
  }
  [[nodiscard]] environment variables() const { return {"PATH=" + directory_.path() + ":/usr/bin:/bin", "KEY=value"}; }
  [[nodiscard]] const std::string& path() const { return directory_.path(); }
  /// The name and secret, or what went wrong, or "none".
  [[nodiscard]] std::string ask(const std::string& server = "r.example", const helper_limits& most = {}) const {
    const auto out = ask_helper({"x", server}, variables(), most);
    if (!out.ok()) return std::string(message(out.status()));
    if (!*out) return "none";
    return (*out)->username + '=' + std::string((*out)->password.reveal()) + '+' +
           std::string((*out)->identity_token.reveal());
  }

 private:
  support::temporary_directory directory_;
};

bool has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("helper: it is asked for a server and answers") {
  const support::leak_snapshot before;
  {
    const helper_directory one(
        R"sh(printf '{"ServerURL":"%s","Username":"%s-%s","Secret":"p:q"}' x "$(cat)" "$1-$KEY-$#")sh");
    CHECK(one.ask() == "r.example-get-value-1=p:q+");
    CHECK(one.ask("https://index.docker.io/v1/").find("'Username' holds a colon") != std::string::npos);
    CHECK(helper_directory(R"(echo '{"Username":"<token>","Secret":"i"}')").ask() == "=+i");
    CHECK(helper_directory(R"(echo '{"Username":"u","Secret":"s"}'; echo warning >&2)").ask() == "u=s+");
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("helper: it has no credentials") {
  CHECK(helper_directory("echo credentials not found in native keychain; exit 1").ask() == "none");
  CHECK(has(helper_directory("echo credentials not found in native keychain; echo more; exit 1").ask(), "exit code 1"));
}

TEST_CASE("helper: nothing but three descriptors and the given variables reach it") {
  const auto left_open = mortise::sys::open("/dev/null", O_RDONLY);
  const int inherited = ::dup(left_open->get());
  const helper_directory one(
      R"sh(printf '{"Username":"%s","Secret":"%s"}' "$(ls /proc/self/fd | tr '\n' ,)" "$(env | grep -c HOME)")sh");
  // ls has a fourth: the directory that it lists.
  CHECK(one.ask() == "0,1,2,3,=0+");
  ::close(inherited);
}

TEST_CASE("helper: why it fails is shown cleaned, and no secret with it") {
  CHECK(has(helper_directory("printf 'locked\\033[31m\\n' >&2; exit 3").ask(),
            "ask credential helper 'x' for 'r.example': exit code 3: locked\\x1b[31m"));
  CHECK(has(helper_directory("echo no keyring; exit 1").ask(), "exit code 1: no keyring"));
  CHECK_FALSE(has(helper_directory(R"(echo '{"Username":"u","Secret":"hunter2"}'; exit 1)").ask(), "hunter2"));
  CHECK_FALSE(has(helper_directory(R"(echo '{"Username":"u","Secret":"hunter2'; kill -9 $$)").ask(), "hunter2"));
  CHECK(has(helper_directory("kill -9 $$").ask(), "killed by signal 9"));
  CHECK(has(helper_directory("exit 0").ask(), "parse its answer: not JSON"));
  CHECK_FALSE(has(helper_directory(R"(echo '{"Secret":"hunter2"')").ask(), "hunter2"));
  CHECK(has(helper_directory(R"(echo '{"Username":"u"}')").ask(), "'Secret' is missing"));
  CHECK(has(helper_directory(R"(echo '{"Username":"u","Secret":""}')").ask(), "'Secret' is empty"));
  CHECK(has(helper_directory(R"(printf '%s' '{"Username":"u","Secret":"a\r\nX: y"}')").ask(), "control character"));
  CHECK(has(helper_directory(R"(echo '{"Username":"a:b","Secret":"s"}')").ask(), "'Username' holds a colon"));
}

TEST_CASE("helper: one that hangs is killed with what it has started") {
  const support::leak_snapshot before;
  const auto began = std::chrono::steady_clock::now();
  {
    const helper_directory one("sleep 600 & echo $! > \"${0%/*}/pid\"; sleep 600");
    CHECK(has(one.ask("r.example", {.time = milliseconds(500)}), "no answer within 500 ms"));
    const auto pid =
        mortise::parse_number<pid_t>(mortise::split(mortise::sys::read_file(one.path() + "/pid").value(), '\n')[0]);
    REQUIRE(pid);
    // The one it has started is nobody's child here: give init a moment to see it dead.
    bool gone = false;
    for (int turn = 0; turn < 100 && !gone; ++turn) {
      const auto stat = mortise::sys::read_file("/proc/" + std::to_string(*pid) + "/stat");
      gone = !stat.ok() || stat->find(") Z ") != std::string::npos;
      if (!gone) ::usleep(10'000);
    }
    CHECK(gone);
    CHECK(has(helper_directory("exec >&- 2>&-; sleep 600").ask("r", {.time = milliseconds(300)}), "no answer"));
  }
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  CHECK(before.leaked() == "");
}

TEST_CASE("helper: one that leaves a process with its output open does not hold us") {
  const helper_directory one(R"(sleep 5 & echo '{"Username":"u","Secret":"s"}')");
  const auto began = std::chrono::steady_clock::now();
  CHECK(one.ask() == "u=s+");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(4));
}

TEST_CASE("helper: one that floods is stopped") {
  const support::leak_snapshot before;
  CHECK(has(helper_directory("exec cat /dev/zero").ask(), "it says more than 65536 bytes"));
  CHECK(
      has(helper_directory("exec cat /dev/zero >&2").ask("r", {.time = milliseconds(500)}), "no answer within 500 ms"));
  CHECK(helper_directory(R"(head -c 1000000 /dev/zero >&2; echo '{"Username":"u","Secret":"s"}')").ask() == "u=s+");
  CHECK(helper_directory(R"(printf '{"Username":"u","Secret":"'; head -c 60000 /dev/zero | tr '\0' a; echo '"}')")
            .ask() == "u=" + std::string(60000, 'a') + "+");
  CHECK(before.leaked() == "");
}

TEST_CASE("helper: hostile queries run nothing") {
  const helper_directory one("echo ran > \"${0%/*}/ran\"");
  for (const char* const name : {"", "../x", "x/../x", "x y", "x;y", "x\ny", "$(x)"}) {
    CAPTURE(name);
    CHECK_FALSE(ask_helper({name, "r.example"}, one.variables()).ok());
  }
  for (const std::string& server : {std::string(), std::string("r.example\nevil"), std::string("a b"),
                                    std::string("a\0b", 3), std::string(3000, 'a')}) {
    CAPTURE(server);
    CHECK(has(one.ask(server), "not a name of a registry"));
  }
  CHECK_FALSE(mortise::sys::read_file(one.path() + "/ran").ok());
}

TEST_CASE("helper: it is looked for in absolute directories only") {
  const helper_directory one(R"(echo '{"Username":"u","Secret":"s"}')");
  const support::child_result child = support::in_child([&] {
    if (::chdir(one.path().c_str()) != 0) return std::string("chdir");
    for (const char* const path : {"PATH=", "PATH=.", "PATH=::", "PATH=/nonexistent:."}) {
      const auto out = ask_helper({"x", "r.example"}, {path});
      if (out.ok() || out.status().code() != absl::StatusCode::kNotFound) return std::string(path);
    }
    return std::string("none found");
  });
  CHECK(child.text == "none found");
  CHECK(has(std::string(message(ask_helper({"none", "r"}, one.variables()).status())),
            "find 'docker-credential-none': it is in no absolute directory of $PATH"));
}

TEST_CASE("helper: it runs the same where its caller blocks signals and has closed its descriptors") {
  const helper_directory one(R"(cat >/dev/null; echo '{"Username":"u","Secret":"s"}')");
  const support::child_result child = support::in_child([&] {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    const int saved = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    for (int each = 0; each < 3; ++each) ::close(each);
    const std::string said = one.ask();
    ::dup2(saved, STDOUT_FILENO);
    return said;
  });
  CHECK(child.text == "u=s+");
}
