// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A real server for a test case: started on a free port of this machine, ended with the case.

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <mortise/base/text.hpp>
#include <mortise/sys/fd.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// A port of 127.0.0.1 on which nobody listens now.
inline std::uint16_t free_port() {
  const mortise::sys::unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(probe.get(), generic, length) != 0 || ::getsockname(probe.get(), generic, &length) != 0)
    throw std::runtime_error("find a free port");
  return ntohs(address.sin_port);
}

/// Whether somebody listens there.
inline bool is_listening(std::uint16_t port) {
  const mortise::sys::unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

/// A program that serves on a port until it is destroyed. What it says goes to `log`.
class service {
 public:
  service(std::vector<std::string> command, std::uint16_t port, std::string log) : log_(std::move(log)) {
    std::vector<char*> arguments;
    for (std::string& each : command) arguments.push_back(each.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) become(arguments.data());
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!is_listening(port)) {
      const bool gone = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
      if (gone) pid_ = 0;
      if (gone || std::chrono::steady_clock::now() > end) {
        stop();
        std::ifstream said(log_);
        throw std::runtime_error("start " + command.front() + ": " +
                                 std::string(std::istreambuf_iterator<char>(said), {}));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  ~service() { stop(); }

 private:
  void become(char** arguments) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execvp(arguments[0], arguments);
    ::_exit(127);
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
    pid_ = 0;
  }

  std::string log_;
  pid_t pid_ = 0;
};

}  // namespace support
