// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/rlimits.hpp>

#include <doctest/doctest.h>

#include <isolate/prepared.hpp>

using mortise::isolate::rlimits;

TEST_CASE("rlimits: what is asked for, in order, and nothing else" * doctest::test_suite("unprivileged")) {
  using prepared::plan_of;
  CHECK(plan_of<rlimits>() == "clone flags 0x0\n");
  CHECK(plan_of<rlimits>({rlimits::set(RLIMIT_NOFILE, 10, 20), rlimits::set(RLIMIT_CORE, 0, rlimits::unlimited)}) ==
        "clone flags 0x0\nlimits\n  set resource limit 7 to 10:20\n  set resource limit 4 to 0:18446744073709551615\n");
  CHECK(plan_of<rlimits>({rlimits::set(RLIMIT_NOFILE, 2, 1)}) ==
        "rlimits: set resource limit 7: the soft limit is above the hard one");
  CHECK(plan_of<rlimits>({rlimits::set(RLIMIT_NOFILE, 1, 1), rlimits::set(RLIMIT_NOFILE, 1, 1)}) ==
        "rlimits: set resource limit 7: it is given twice");
  for (const int resource : {-1, 16, 1000})
    CHECK(plan_of<rlimits>({rlimits::set(resource, 1, 1)}) ==
          mortise::concat("rlimits: set resource limit ", resource, ": no such resource"));
}
