// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Runs a program of this host for its answer: bounded in time and output, without a shell.

#include <absl/status/statusor.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/process.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// What a program may cost.
struct program_limits {
  std::chrono::milliseconds time = std::chrono::seconds(60);
  std::size_t output = std::size_t{64} << 10;
  std::size_t complaint = 4096;  ///< how much of its standard error is kept; the rest is read and dropped
};

/// What to run.
struct program_call {
  std::string path{};                    ///< absolute
  std::vector<std::string> arguments{};  ///< behind its name
  std::string_view input{};  ///< fits into a pipe: it is written before anybody could close the other end, so
                             ///< no SIGPIPE can come of it
  std::vector<std::string> variables{};  ///< its whole environment, NAME=VALUE
  std::vector<int> files{};              ///< its descriptors 3 and above
};

/// How it went.
struct program_result {
  std::string output;
  std::string complaint;
  sys::process_end end;
};

/// A program in the absolute directories of `places`, as $PATH has them: what lies in the working directory is
/// somebody else's. Fails with NOT_FOUND, saying `remedy`.
inline absl::StatusOr<std::string> find_program(const std::string& program, const std::optional<std::string>& places,
                                                std::string_view remedy) {
  const std::string all = places.value_or("/usr/local/bin:/usr/bin:/bin");
  for (const std::string_view each : split(all, ':')) {
    if (!each.starts_with('/')) continue;
    std::string path = concat(each, '/', program);
    struct stat about{};
    if (::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && ::access(path.c_str(), X_OK) == 0) return path;
  }
  return error(absl::StatusCode::kNotFound,
               concat("find '", program, "': it is in no absolute directory of $PATH (", remedy, ')'));
}

/// A child on three pipes, in a session of its own so that it ends with all it has started. No shell, and no other
/// descriptor than its three and those of the call.
class child_program {
 public:
  child_program() = default;
  child_program(const child_program&) = delete;
  child_program& operator=(const child_program&) = delete;
  /// Leaves behind: no process of the session that has not left it.
  ~child_program() {
    if (pid_ > 0) kill_and_reap();
  }

  absl::Status start(const program_call& what) {
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends in, sys::make_pipe());
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends out, sys::make_pipe());
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends problem, sys::make_pipe());
    if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "set up pipe");
    MORTISE_RETURN_IF_ERROR(sys::write_all(in.write.get(), what.input));
    in.write.reset();
    out_ = std::move(out.read);
    problem_ = std::move(problem.read);
    for (const sys::unique_fd* const each : {&out_, &problem_})
      if (::fcntl(each->get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "set up pipe");
    std::vector<int> open = {in.read.get(), out.write.get(), problem.write.get()};
    open.insert(open.end(), what.files.begin(), what.files.end());
    MORTISE_RETURN_IF_ERROR(spawn(what, open));
    MORTISE_ASSIGN_OR_RETURN(pidfd_, sys::open_process(pid_));
    return absl::OkStatus();
  }

  /// Reads until the process ends; what it has left running does not hold us.
  /// Fails with DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED past the most output; the session is killed then.
  absl::StatusOr<program_result> finish(const program_limits& most) {
    const auto deadline = std::chrono::steady_clock::now() + most.time;
    program_result out;
    for (bool ended = false; !ended;) {
      MORTISE_ASSIGN_OR_RETURN(ended, wait_for_news(deadline));
      MORTISE_RETURN_IF_ERROR(drain(out_, out.output, most.output + 1));
      MORTISE_RETURN_IF_ERROR(drain(problem_, out.complaint, most.complaint));
      if (out.output.size() > most.output)
        return error(absl::StatusCode::kResourceExhausted, concat("it says more than ", most.output, " bytes"));
      if (std::chrono::steady_clock::now() >= deadline && !ended)
        return error(absl::StatusCode::kDeadlineExceeded, concat("no answer within ", most.time.count(), " ms"));
    }
    auto end = sys::reap(pidfd_.get());
    pid_ = 0;
    if (!end.ok()) return end.status();
    out.end = *end;
    return out;
  }

 private:
  /// Descriptors that taking the places of the first ones in the child cannot overwrite.
  static absl::StatusOr<std::vector<sys::unique_fd>> out_of_the_way(const std::vector<int>& open) {
    std::vector<sys::unique_fd> copies;
    for (const int each : open) {
      const int copy = ::fcntl(each, F_DUPFD_CLOEXEC, static_cast<int>(open.size()));
      if (copy < 0) return errno_error(errno, "duplicate file descriptor");
      copies.emplace_back(copy);
    }
    return copies;
  }

  /// `texts` as execve(2) takes them.
  static std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& each : texts) out.push_back(const_cast<char*>(each.c_str()));
    out.push_back(nullptr);
    return out;
  }

  absl::Status spawn(const program_call& what, const std::vector<int>& open) {
    MORTISE_ASSIGN_OR_RETURN(const auto copies, out_of_the_way(open));
    std::vector<std::string> words = {what.path};
    words.insert(words.end(), what.arguments.begin(), what.arguments.end());
    const std::vector<char*> arguments = pointers_to(words);
    const std::vector<char*> variables = pointers_to(what.variables);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    int problem = 0;
    for (std::size_t each = 0; each < copies.size() && problem == 0; ++each)
      problem = ::posix_spawn_file_actions_adddup2(&actions, copies[each].get(), static_cast<int>(each));
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    // The library opens everything close-on-exec; the program around it may not.
    if (problem == 0) problem = ::posix_spawn_file_actions_addclosefrom_np(&actions, static_cast<int>(copies.size()));
#endif
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (problem == 0)
      problem = ::posix_spawn(&pid_, what.path.c_str(), &actions, &attributes, arguments.data(), variables.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (problem == 0) return absl::OkStatus();
    pid_ = 0;
    return errno_error(problem, concat("run '", what.path, '\''));
  }

  /// True once the process has ended.
  absl::StatusOr<bool> wait_for_news(std::chrono::steady_clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    std::array<pollfd, 3> wanted{{{pidfd_.get(), POLLIN, 0}, {out_.get(), POLLIN, 0}, {problem_.get(), POLLIN, 0}}};
    const int ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(std::clamp<long>(left.count(), 0, 60'000)));
    if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for program");
    return ready > 0 && wanted[0].revents != 0;
  }

  /// What is there now: at most a pipe's worth, so that one that never stops cannot keep us here.
  static absl::Status drain(sys::unique_fd& from, std::string& into, std::size_t most) {
    std::array<std::byte, 4096> buffer;
    for (int turn = 0; turn < 32 && from; ++turn) {
      const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (got < 0) return errno_error(errno, "read from program");
      if (got == 0) from.reset();
      const std::size_t room = most - std::min(most, into.size());
      into.append(reinterpret_cast<const char*>(buffer.data()), std::min(room, static_cast<std::size_t>(got)));
    }
    ::explicit_bzero(buffer.data(), buffer.size());
    return absl::OkStatus();
  }

  /// Until it is reaped its number is its own, and so is the number of its session's process group. It may have been
  /// reaped by the program around us, and its number be somebody else's.
  void kill_and_reap() {
    if (pidfd_ && !sys::signal_process(pidfd_.get(), 0).ok()) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
  }

  sys::unique_fd out_;
  sys::unique_fd problem_;
  sys::unique_fd pidfd_;
  pid_t pid_ = 0;
};

}  // namespace mortise::image
