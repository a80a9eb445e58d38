// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How a container's first process ended.

#include <compare>

namespace mortise::model {

/// Ended by exit(2) with a code, or by a signal: never both.
class exit_status {
 public:
  static constexpr exit_status exited(int code) { return exit_status(code, 0); }
  static constexpr exit_status signaled(int signal) { return exit_status(0, signal); }

  [[nodiscard]] constexpr bool success() const { return code_ == 0 && signal_ == 0; }
  /// The signal that ended it, or 0.
  [[nodiscard]] constexpr int signal() const { return signal_; }
  /// As a shell shows it: the exit code, or 128 + the signal.
  [[nodiscard]] constexpr int code() const { return signal_ != 0 ? 128 + signal_ : code_; }
  constexpr auto operator<=>(const exit_status&) const = default;

 private:
  constexpr exit_status(int code, int signal) : code_(code), signal_(signal) {}
  int code_;
  int signal_;
};

}  // namespace mortise::model
