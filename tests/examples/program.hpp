// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Programs run from tests as a user's shell would: with pipes or a terminal, as root or as nobody.

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mortise/sys/fd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace examples {

using namespace std::chrono_literals;

struct run_options {
  std::string input = {};             ///< what it reads from standard input
  bool as_nobody = false;             ///< as the user that owns nothing; only root can ask for it
  bool terminal = false;              ///< standard error is a terminal of 80 columns
  std::vector<std::string> env = {};  ///< NAME=VALUE, beside the test's own
};

struct outcome {
  int code = -1;   ///< exit code, or -1
  int signal = 0;  ///< the signal that ended it, or 0
  std::string out = {};
  std::string err = {};
};

/// A started program. Ended and reaped by the destructor if it still runs: asked to first, so that it can clean up.
class program {
 public:
  explicit program(const std::vector<std::string>& words, const run_options& options = {}) {
    auto input = pipe();
    auto output = pipe();
    auto errors = options.terminal ? terminal() : pipe();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) execute(words, options, {input.first.get(), output.second.get(), errors.second.get()});
    in_ = std::move(input.second);
    streams_[0] = std::move(output.first);
    streams_[1] = std::move(errors.first);
    ::signal(SIGPIPE, SIG_IGN);  // it may end without having read
    if (!options.input.empty() && ::write(in_.get(), options.input.data(), options.input.size()) < 0 && errno != EPIPE)
      throw std::runtime_error("write to the program");
    in_.reset();
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    for (int tries = 0; pid_ > 0 && tries < 100; ++tries) {
      ::kill(pid_, SIGTERM);
      ::usleep(50'000);
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    }
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void signal(int which) const { ::kill(pid_, which); }

  /// Reads until standard output (0) or error (1) has a text; false if it ends or a minute passes before.
  bool wait_for(int stream, std::string_view text) {
    const auto& heard = texts_[static_cast<std::size_t>(stream)];
    while (heard.find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }

  /// Reads both streams to their ends and waits. With `only_the_process`, what it left behind may hold them open.
  outcome finish(bool only_the_process = false) {
    while (!only_the_process && read_some()) continue;
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_) throw std::runtime_error("waitpid");
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, texts_[0],
            texts_[1]};
  }

 private:
  using ends = std::pair<mortise::sys::unique_fd, mortise::sys::unique_fd>;

  static ends pipe() {
    std::array<int, 2> made{};
    if (::pipe2(made.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    return {mortise::sys::unique_fd(made[0]), mortise::sys::unique_fd(made[1])};
  }
  static ends terminal() {
    int outer = -1;
    int inner = -1;
    winsize size{};
    size.ws_col = 80;
    size.ws_row = 24;
    if (::openpty(&outer, &inner, nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    for (const int each : {outer, inner}) ::fcntl(each, F_SETFD, FD_CLOEXEC);
    return {mortise::sys::unique_fd(outer), mortise::sys::unique_fd(inner)};
  }

  [[noreturn]] static void execute(const std::vector<std::string>& words, const run_options& options,
                                   std::array<int, 3> streams) {
    for (int to = 0; to < 3; ++to) ::dup2(streams[static_cast<std::size_t>(to)], to);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);
    constexpr uid_t nobody = 65534;
    if (options.as_nobody && (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
                              ::setresuid(nobody, nobody, nobody) != 0))
      ::_exit(99);
    for (const std::string& each : options.env) ::putenv(const_cast<char*>(each.c_str()));
    std::vector<char*> arguments;
    for (const std::string& each : words) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(98);
  }

  /// Reads what there is of either stream, waiting for it; false when both have ended.
  bool read_some() {
    std::array<pollfd, 2> ready{pollfd{streams_[0].get(), POLLIN, 0}, pollfd{streams_[1].get(), POLLIN, 0}};
    if (ready[0].fd < 0 && ready[1].fd < 0) return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - clock::now()).count();
    if (left <= 0 || ::poll(ready.data(), ready.size(), static_cast<int>(left)) <= 0)
      throw std::runtime_error("the program does not end: " + texts_[0] + texts_[1]);
    for (std::size_t each = 0; each < 2; ++each) {
      if (ready[each].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t got = ::read(streams_[each].get(), buffer.data(), buffer.size());
      if (got > 0) texts_[each].append(buffer.data(), static_cast<std::size_t>(got));
      if (got <= 0) streams_[each].reset();  // of a terminal, EIO is the end
    }
    return true;
  }

  using clock = std::chrono::steady_clock;
  pid_t pid_ = -1;
  mortise::sys::unique_fd in_;
  std::array<mortise::sys::unique_fd, 2> streams_;
  std::array<std::string, 2> texts_;
  clock::time_point deadline_ = clock::now() + 60s;
};

inline outcome run(const std::vector<std::string>& words, const run_options& options = {}) {
  return program(words, options).finish();
}

}  // namespace examples
