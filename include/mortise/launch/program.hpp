// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A program and its three streams as operations of a plan.

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/program.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::launch {

/// Where one of the container's standard streams goes.
struct stream {
  enum class kind : unsigned char { inherit, null, file, pipe, descriptor };
  kind what = kind::inherit;
  std::string path;     ///< of a file, on the host
  bool append = false;  ///< to a file, instead of emptying it first
  int fd = -1;          ///< of the caller, who keeps it

  /// The caller's own.
  static stream inherit() { return {}; }
  /// /dev/null.
  static stream null() { return {kind::null, {}, false, -1}; }
  /// A host file; an output file is made with mode 0644 where it is missing.
  static stream file(std::string path, bool append = false) { return {kind::file, std::move(path), append, -1}; }
  /// A pipe whose other end the container's handle gives to the caller.
  static stream pipe() { return {kind::pipe, {}, false, -1}; }
  /// A descriptor of the caller's.
  static stream descriptor(int fd) { return {kind::descriptor, {}, false, fd}; }
};

/// The three streams of one launch, opened: the container's ends until it is spawned, the caller's after.
class streams {
 public:
  /// Opens everything and adds the redirections. Fails as open(2) and pipe(2) do; leaves nothing behind but
  /// an output file that it has made.
  static absl::StatusOr<streams> open(const std::array<stream, 3>& wanted, model::plan& plan) {
    streams out;
    for (int to = 0; to < 3; ++to) {
      const auto index = static_cast<std::size_t>(to);
      MORTISE_RETURN_IF_ERROR(annotate(out.open_one(wanted[index], index), concat("open standard stream ", to)));
      const sys::unique_fd& inner = out.inner_[index];
      if (inner) plan.add(model::stage::stdio, model::op::redirect{inner.get(), to});
    }
    return out;
  }

  /// Closes the container's ends, so that the caller's see the end of the stream.
  void spawned() {
    for (sys::unique_fd& each : inner_) each.reset();
  }

  /// The caller's end of a pipe; none for the other kinds, or if it has been taken.
  sys::unique_fd take(int which) { return std::move(outer_[static_cast<std::size_t>(which)]); }

 private:
  absl::Status open_one(const stream& wanted, std::size_t index) {
    const bool input = index == 0;
    switch (wanted.what) {
      case stream::kind::inherit:
        return has(static_cast<int>(index)) ? absl::OkStatus() : open_path("/dev/null", O_RDWR, index);
      case stream::kind::null:
        return open_path("/dev/null", O_RDWR, index);
      case stream::kind::file:
        return open_path(wanted.path, input ? O_RDONLY : O_WRONLY | O_CREAT | (wanted.append ? O_APPEND : O_TRUNC),
                         index);
      case stream::kind::descriptor: {
        MORTISE_ASSIGN_OR_RETURN(inner_[index], sys::duplicate(wanted.fd));
        return absl::OkStatus();
      }
      case stream::kind::pipe: {
        MORTISE_ASSIGN_OR_RETURN(sys::pipe_ends ends, sys::make_pipe());
        outer_[index] = std::move(input ? ends.write : ends.read);
        return keep(std::move(input ? ends.read : ends.write), index);
      }
    }
    return absl::OkStatus();
  }

  /// A caller may run without: then the container's next file must not become it, nor one of ours that has taken
  /// its number, which is closed on exec.
  static bool has(int standard) {
    const int flags = ::fcntl(standard, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
  }

  absl::Status open_path(const std::string& path, int flags, std::size_t index) {
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd fd, sys::open(path, flags | O_NOCTTY, 0644));
    return keep(std::move(fd), index);
  }

  /// At 3 or above, so that redirecting one stream never closes the source of another.
  absl::Status keep(sys::unique_fd fd, std::size_t index) {
    if (fd.get() >= 3) {
      inner_[index] = std::move(fd);
      return absl::OkStatus();
    }
    MORTISE_ASSIGN_OR_RETURN(inner_[index], sys::duplicate(fd.get()));
    return absl::OkStatus();
  }

  std::array<sys::unique_fd, 3> inner_;
  std::array<sys::unique_fd, 3> outer_;
};

/// The paths at which a program's name is tried, as execvp(3) does it with the container's own PATH.
inline std::vector<std::string> candidates_of(const model::program& what) {
  const std::string& name = what.arguments.front();
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = model::default_path;
  for (const std::string& each : what.environment)
    if (each.starts_with("PATH=")) path = std::string_view(each).substr(5);
  std::vector<std::string> out;
  for (const std::string_view directory : split(path, ':'))
    out.push_back(directory.empty() ? name : concat(directory, '/', name));
  return out;
}

/// Adds the program to a plan: its directory, its user, and what is executed.
inline void add_program(const model::program& what, model::plan& plan) {
  plan.add(model::stage::directory, model::op::change_directory{what.working_directory});
  plan.add(model::stage::user, model::op::become{what.user, what.group, {}});
  plan.add(model::stage::execute, model::op::execute{candidates_of(what), what.arguments, what.environment});
}

}  // namespace mortise::launch
