// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a fuzz target is: one function that reads bytes from a stranger and ends the program where something does not
/// hold that must, whatever they are. docs/testing.md tells how targets are run.

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <string>
#include <string_view>

namespace fuzz {

/// Each source of this folder defines it. Returns why the input was refused, if it was: seeds called ok-... must not
/// be, those called should-fail-... must.
absl::Status target(std::string_view input);

/// Ends the program where `holds` is false; libFuzzer then keeps the input.
inline void require(bool holds, std::string_view what, std::string_view shown = {}) {
  if (holds) return;
  const std::string line = mortise::concat("does not hold: ", what, ": ", mortise::printable(shown, 4096), '\n');
  std::fputs(line.c_str(), stderr);
  std::abort();
}

/// Whether a text can be written to a terminal or log as it is.
inline bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char each) { return each >= 0x20 && each < 0x7f; });
}

/// A failure names its cause in words that can be printed, whatever a stranger wrote, and is of a code that is meant.
inline void check_failure(const absl::Status& status) {
  const std::string_view text = mortise::message(status);
  require(!status.ok() && status.code() != absl::StatusCode::kUnknown && status.code() != absl::StatusCode::kInternal,
          "a failure has a code that is meant", text);
  require(text.size() > 8 && text.size() < 4096, "a message is there, and of a length that can be read", text);
  require(is_printable(text), "a message is printable", text);
  require(!text.ends_with('.') || text.ends_with("..."), "a message ends without a period", text);
}

/// Whether an input was taken; if not, the failure is one that can be shown.
inline bool accepted(const absl::Status& status) {
  if (!status.ok()) check_failure(status);
  return status.ok();
}
template <class T>
bool accepted(const absl::StatusOr<T>& result) {
  return accepted(result.status());
}

/// The value of what must have been taken.
template <class T>
T taken(absl::StatusOr<T> result, std::string_view what) {
  require(result.ok(), what, mortise::message(result.status()));
  return *std::move(result);
}

}  // namespace fuzz
