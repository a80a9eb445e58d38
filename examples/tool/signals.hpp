// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Signals on their way through a program: they cancel a pull, reach a running container, and disturb
/// nothing while it is being destroyed.

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/process.hpp>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace tool {

/// Made before any other thread, so that all inherit the blocked mask and the relay's thread alone hears.
class signal_relay {
 public:
  /// As many requests to end are passed on; the last one kills, since a process 1 may ignore all others.
  static constexpr int patience = 3;

  static absl::StatusOr<std::unique_ptr<signal_relay>> start() {
    sigset_t relayed;
    ::sigemptyset(&relayed);
    for (const int each : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) ::sigaddset(&relayed, each);
    ::pthread_sigmask(SIG_BLOCK, &relayed, nullptr);
    std::unique_ptr<signal_relay> made(new signal_relay);
    made->signals_.reset(::signalfd(-1, &relayed, SFD_CLOEXEC | SFD_NONBLOCK));
    made->stop_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!made->signals_ || !made->stop_) return mortise::errno_error(errno, "listen for signals");
    made->thread_ = std::thread([relay = made.get()] { relay->listen(); });
    return made;
  }
  signal_relay(const signal_relay&) = delete;
  signal_relay& operator=(const signal_relay&) = delete;
  ~signal_relay() {
    if (!thread_.joinable()) return;
    (void)::eventfd_write(stop_.get(), 1);
    thread_.join();
  }

  /// True once a signal has asked to end before there was a container.
  [[nodiscard]] const std::atomic<bool>& cancelled() const { return cancelled_; }
  /// That signal, or 0.
  [[nodiscard]] int cancelled_by() const { return cancelled_by_; }

  /// From now on signals are kept: the container may run any moment, and they may already be meant for it.
  void keep() {
    const std::scoped_lock lock(mutex_);
    phase_ = phase::spawning;
  }
  /// From now on signals go to a process, the kept ones first. False if one had asked to end before.
  bool forward_to(int pidfd) {
    const std::scoped_lock lock(mutex_);
    pidfd_ = pidfd;
    phase_ = phase::running;
    for (const int each : std::exchange(kept_, {})) send(each);
    return !cancelled_;
  }
  /// From now on signals are heard and dropped: to destroy is all that is left to do.
  void ignore() {
    const std::scoped_lock lock(mutex_);
    phase_ = phase::ending;
  }

 private:
  enum class phase : unsigned char { starting, spawning, running, ending };
  signal_relay() = default;

  void listen() {
    for (;;) {
      std::array<pollfd, 2> ready{pollfd{signals_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
      if (::poll(ready.data(), ready.size(), -1) < 0) continue;
      if (ready[1].revents != 0) return;
      signalfd_siginfo heard{};
      if (::read(signals_.get(), &heard, sizeof heard) == sizeof heard) pass_on(static_cast<int>(heard.ssi_signo));
    }
  }

  static bool asks_to_end(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
  }

  void pass_on(int signal) {
    const std::scoped_lock lock(mutex_);
    if (phase_ == phase::spawning) kept_.push_back(signal);
    if (phase_ == phase::running) send(signal);
    if (phase_ != phase::starting || !asks_to_end(signal)) return;
    cancelled_by_ = signal;
    cancelled_ = true;
  }

  void send(int signal) {
    if (asks_to_end(signal) && ++requests_ == patience) signal = SIGKILL;
    (void)mortise::sys::signal_process(pidfd_, signal);  // one that has ended needs no signal
  }

  mortise::sys::unique_fd signals_;
  mortise::sys::unique_fd stop_;
  std::mutex mutex_;
  phase phase_ = phase::starting;
  int pidfd_ = -1;
  std::vector<int> kept_;
  int requests_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::atomic<int> cancelled_by_ = 0;
  std::thread thread_;
};

}  // namespace tool
