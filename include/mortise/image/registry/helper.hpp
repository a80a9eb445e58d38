// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Credential helpers: "docker-credential-NAME get", the one place where a registry's protocol has a program run.
/// Needs: RapidJSON.

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
#include <mortise/image/json.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/image/registry/credentials.hpp>
#include <mortise/image/registry/secret.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/process.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// What a helper may cost.
struct helper_limits {
  std::chrono::milliseconds time = std::chrono::seconds(60);  ///< it may have to ask its user
  std::size_t output = std::size_t{64} << 10;
  std::size_t complaint = 4096;  ///< how much of its standard error is kept; the rest is read and dropped
};

namespace detail {

/// A program in the absolute directories of $PATH: what lies in the working directory is somebody else's.
inline absl::StatusOr<std::string> find_helper(const std::string& program, const environment& in) {
  const std::string places = variable(in, "PATH").value_or("/usr/local/bin:/usr/bin:/bin");
  for (const std::string_view each : split(places, ':')) {
    if (!each.starts_with('/')) continue;
    std::string path = concat(each, '/', program);
    struct stat about{};
    if (::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && ::access(path.c_str(), X_OK) == 0) return path;
  }
  return error(absl::StatusCode::kNotFound,
               concat("find '", program,
                      "': it is in no absolute directory of $PATH (install it, or take it out of the "
                      "file of credentials)"));
}

/// A descriptor that taking the places of standard input, output and error in the child cannot overwrite.
inline absl::StatusOr<sys::unique_fd> above_standard(sys::unique_fd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  return sys::duplicate(fd.get());
}

/// A child on three pipes, in a session of its own so that it ends with all it has started.
class helper_process {
 public:
  struct result {
    std::string output;
    std::string complaint;
    sys::process_end end;
  };

  helper_process() = default;
  helper_process(const helper_process&) = delete;
  helper_process& operator=(const helper_process&) = delete;
  /// Leaves behind: no process of the session that has not left it.
  ~helper_process() {
    if (pid_ > 0) kill_and_reap();
  }

  /// `input` fits into a pipe: it is written before anybody could close the other end, so no SIGPIPE can come of it.
  absl::Status start(const std::string& path, std::string_view input, const environment& variables) {
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends in, sys::make_pipe());
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends out, sys::make_pipe());
    MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends problem, sys::make_pipe());
    if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "set up pipe");
    MORTISE_RETURN_IF_ERROR(sys::write_all(in.write.get(), input));
    in.write.reset();
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd standard_input, above_standard(std::move(in.read)));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd standard_output, above_standard(std::move(out.write)));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd standard_error, above_standard(std::move(problem.write)));
    out_ = std::move(out.read);
    problem_ = std::move(problem.read);
    for (const sys::unique_fd* const each : {&out_, &problem_})
      if (::fcntl(each->get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "set up pipe");
    MORTISE_RETURN_IF_ERROR(
        spawn(path, {standard_input.get(), standard_output.get(), standard_error.get()}, variables));
    MORTISE_ASSIGN_OR_RETURN(pidfd_, sys::open_process(pid_));
    return absl::OkStatus();
  }

  /// Reads until the process ends; what it has left running does not hold us.
  /// Fails with DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED past the most output; the session is killed then.
  absl::StatusOr<result> finish(const helper_limits& most) {
    const auto deadline = std::chrono::steady_clock::now() + most.time;
    result out;
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
  absl::Status spawn(const std::string& path, const std::array<int, 3>& standard, const environment& variables) {
    std::vector<char*> environment_pointers;
    environment_pointers.reserve(variables.size() + 1);
    for (const std::string& each : variables) environment_pointers.push_back(const_cast<char*>(each.c_str()));
    environment_pointers.push_back(nullptr);
    std::string verb = "get";
    std::string name = path;
    std::array<char*, 3> arguments{name.data(), verb.data(), nullptr};

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    int problem = 0;
    for (int each = 0; each < 3 && problem == 0; ++each)
      problem = ::posix_spawn_file_actions_adddup2(&actions, standard[static_cast<std::size_t>(each)], each);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    // The library opens everything close-on-exec; the program around it may not.
    if (problem == 0) problem = ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (problem == 0)
      problem =
          ::posix_spawn(&pid_, path.c_str(), &actions, &attributes, arguments.data(), environment_pointers.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (problem == 0) return absl::OkStatus();
    pid_ = 0;
    return errno_error(problem, concat("run '", path, '\''));
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

/// What helpers say, with status 1, of a registry that they do not know.
inline bool says_unknown(std::string_view output) {
  while (!output.empty() && static_cast<unsigned char>(output.back()) <= ' ') output.remove_suffix(1);
  return output == "credentials not found in native keychain";
}

/// Why a helper failed, for messages: what it wrote to standard error, or else to standard output, where the protocol
/// has it, unless that could be an answer with a secret in it.
inline std::string complaint_of(const helper_process::result& from) {
  std::string text =
      from.end.by_signal ? concat("killed by signal ", from.end.number) : concat("exit code ", from.end.number);
  std::string_view said = from.complaint;
  if (said.find_first_not_of(" \t\r\n") == std::string_view::npos)
    said = from.output.find_first_of("{\"") == std::string::npos && !from.end.by_signal ? std::string_view(from.output)
                                                                                        : std::string_view();
  while (!said.empty() && static_cast<unsigned char>(said.back()) <= ' ') said.remove_suffix(1);
  if (!said.empty()) append(text, ": ", printable(said));
  return text;
}

inline absl::StatusOr<credential> read_helper_answer(const json::value& root) {
  credential out;
  MORTISE_ASSIGN_OR_RETURN(std::string username, root.text_or("Username", ""));
  MORTISE_ASSIGN_OR_RETURN(const json::value secret_at, root.member("Secret"));
  MORTISE_ASSIGN_OR_RETURN(std::string text, secret_at.text());
  secret hidden(std::move(text));
  const auto good = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (!model::detail::every(username, good) || username.find(':') != std::string::npos)
    return root.refuse("'Username' holds a colon or a control character");
  if (hidden.empty() || !model::detail::every(hidden.reveal(), good))
    return root.refuse("'Secret' is empty or holds a control character");
  if (username == "<token>") {
    out.identity_token = std::move(hidden);
  } else {
    out.username = std::move(username);
    out.password = std::move(hidden);
  }
  return out;
}

}  // namespace detail

/// Asks a credential helper. Nothing where it has no credentials for the server.
///
/// Effects: runs "docker-credential-NAME get" without a shell, in a session of its own, with `variables` as its
/// environment, the server on its standard input and no other descriptor than its three.
/// Fails with INVALID_ARGUMENT for a query that is none or an answer that is none, NOT_FOUND where there is no such
/// program, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, and UNAVAILABLE where it fails, with what it says of that; never
/// with anything of its answer.
/// Leaves behind on failure: no process of its session.
inline absl::StatusOr<std::optional<credential>> ask_helper(const helper_query& query, const environment& variables,
                                                            const helper_limits& most = {}) {
  const std::string what =
      concat("ask credential helper '", printable(query.name, 64), "' for '", printable(query.server, 300), '\'');
  const auto visible = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!is_helper_name(query.name))
    return error(absl::StatusCode::kInvalidArgument, concat(what, ": not a name of one"));
  if (query.server.empty() || query.server.size() > 2048 || !model::detail::every(query.server, visible))
    return error(absl::StatusCode::kInvalidArgument, concat(what, ": not a name of a registry"));
  const auto path = detail::find_helper(concat("docker-credential-", query.name), variables);
  if (!path.ok()) return annotate(path.status(), what);
  detail::helper_process process;
  if (const absl::Status status = process.start(*path, query.server, variables); !status.ok())
    return annotate(status, what);
  auto result = process.finish(most);
  if (!result.ok()) return annotate(result.status(), what);
  if (result->end.by_signal || result->end.number != 0) {
    if (!result->end.by_signal && detail::says_unknown(result->output)) return std::optional<credential>();
    return error(absl::StatusCode::kUnavailable, concat(what, ": ", detail::complaint_of(*result)));
  }
  const secret answer(std::move(result->output));
  const auto document = json::document::parse(answer.reveal(), "its answer", {.depth = 8, .values = 100});
  if (!document.ok()) return annotate(document.status(), what);
  auto read = detail::read_helper_answer(document->root());
  if (!read.ok()) return annotate(read.status(), concat(what, ": parse its answer"));
  return std::optional(*std::move(read));
}

}  // namespace mortise::image::distribution
