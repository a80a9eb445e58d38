// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the child tells the parent when an operation fails: written by the child into the parent's memory,
/// read by the parent after the child is gone, so it is plain data.

#include <cstddef>

namespace mortise::launch {

struct report {
  /// Which of the plan's operations, counted in the child's order; meaningful if `error` is set.
  std::size_t operation = 0;
  /// The errno, or 0 while nothing failed.
  int error = 0;
  /// The system call or part of the operation: a string constant.
  const char* step = "";
  /// Why, where errno's text would mislead: a string constant, or nullptr.
  const char* words = nullptr;
  /// Set by the child before it executes the program: one that ended without was killed on the way.
  bool executing = false;
  /// The kernel's own explanation, where it gives one; ends with 0.
  char detail[256] = {};
};

}  // namespace mortise::launch
