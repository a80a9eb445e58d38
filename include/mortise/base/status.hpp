// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How mortise reports failure: absl::Status whose message names verb, object and cause, with the
/// kernel's errno kept as a payload. Nothing in mortise throws.

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/cord.h>

#include <cstring>
#include <mortise/base/text.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise {

/// Debian 12 builds Abseil with a string_view of its own; these two are the only bridge.
inline absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_std(absl::string_view text) { return {text.data(), text.size()}; }

/// The message of a status, as the standard's string_view.
inline std::string_view message(const absl::Status& status) { return to_std(status.message()); }

/// The URL under which a status carries the errno it came from.
inline constexpr std::string_view errno_payload = "mortise/errno";

/// The C library's text for an errno value ("No such file or directory").
inline std::string errno_text(int error) {
  char buffer[128];
  return ::strerror_r(error, buffer, sizeof buffer);
}

/// A failure of our own finding: `message` names verb, object and cause, without a final period.
inline absl::Status error(absl::StatusCode code, std::string_view message) { return {code, to_absl(message)}; }

/// A system call's failure: "`what`: Invalid argument", with the errno as payload and the matching code.
/// `hint`, where there is a remedy, follows in brackets.
inline absl::Status errno_error(int error, std::string_view what, std::string_view hint = {}) {
  std::string text = concat(what, ": ", errno_text(error));
  if (!hint.empty()) append(text, " (", hint, ')');
  absl::Status status(absl::ErrnoToStatusCode(error), to_absl(text));
  // Cord's constructor from std::string is a template whose name clang and g++ mangle differently.
  status.SetPayload(to_absl(errno_payload), absl::Cord(to_absl(std::to_string(error))));
  return status;
}

/// The errno that a status came from, or 0.
inline int errno_of(const absl::Status& status) {
  const auto payload = status.GetPayload(to_absl(errno_payload));
  if (!payload) return 0;
  return parse_number<int>(std::string(*payload)).value_or(0);
}

/// The same failure in other words; code and payload are kept.
inline absl::Status reword(const absl::Status& status, std::string_view message) {
  absl::Status out(status.code(), to_absl(message));
  status.ForEachPayload([&out](absl::string_view url, const absl::Cord& value) { out.SetPayload(url, value); });
  return out;
}

/// The same failure with "`context`: " before its message.
inline absl::Status annotate(const absl::Status& status, std::string_view context) {
  return status.ok() ? status : reword(status, concat(context, ": ", message(status)));
}

/// The first failure of two: `then` counts only where `first` is OK.
inline absl::Status first_error(absl::Status first, absl::Status then) {
  return first.ok() ? std::move(then) : std::move(first);
}

namespace detail {
inline absl::Status take_status(absl::Status status) { return status; }
template <class T>
absl::Status take_status(absl::StatusOr<T>&& result) {
  return std::move(result).status();
}
}  // namespace detail
}  // namespace mortise

/// Evaluates `...`, a Status or StatusOr; returns its status from the enclosing function unless it is OK.
#define MORTISE_RETURN_IF_ERROR(...)                                                               \
  do {                                                                                             \
    if (auto mortise_status = ::mortise::detail::take_status(__VA_ARGS__); !mortise_status.ok()) { \
      return mortise_status;                                                                       \
    }                                                                                              \
  } while (false)

/// Evaluates `...`, a StatusOr<T>; assigns its value to `left` (which may declare a variable) or returns
/// its status from the enclosing function.
#define MORTISE_ASSIGN_OR_RETURN(left, ...) \
  MORTISE_ASSIGN_OR_RETURN_(MORTISE_CONCAT_(mortise_result_, __LINE__), left, __VA_ARGS__)
#define MORTISE_ASSIGN_OR_RETURN_(result, left, ...)   \
  auto result = __VA_ARGS__;                           \
  if (!result.ok()) return std::move(result).status(); \
  left = *std::move(result)
#define MORTISE_CONCAT_(a, b) MORTISE_CONCAT_AGAIN_(a, b)
#define MORTISE_CONCAT_AGAIN_(a, b) a##b
