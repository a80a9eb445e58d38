// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/exit_status.hpp>

#include <doctest/doctest.h>

using mortise::model::exit_status;

TEST_CASE("exit_status: a code or a signal, and a shell's view of both") {
  static_assert(exit_status::exited(0).success() && exit_status::exited(0).code() == 0);
  static_assert(!exit_status::exited(3).success() && exit_status::exited(3).code() == 3 &&
                exit_status::exited(3).signal() == 0);
  static_assert(!exit_status::signaled(9).success() && exit_status::signaled(9).code() == 137 &&
                exit_status::signaled(9).signal() == 9);
  CHECK(exit_status::exited(137) != exit_status::signaled(9));
}
