// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A system call by number: its result, or -errno. No allocation, no lock, no Status, so that it can
/// be used between clone and exec as well as under the Status-returning wrappers of sys/.

#include <unistd.h>

#include <cerrno>

namespace mortise::sys {

template <class... Arguments>
inline long call(long number, Arguments... arguments) {
  const long result = ::syscall(number, arguments...);
  return result == -1 ? -errno : result;
}

}  // namespace mortise::sys
