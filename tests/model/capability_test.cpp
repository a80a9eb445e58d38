// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/capability.hpp>

#include <doctest/doctest.h>
#include <linux/capability.h>

using mortise::model::capability_number;

TEST_CASE("capability: names have the kernel's numbers") {
  CHECK(capability_number("CAP_CHOWN") == CAP_CHOWN);
  CHECK(capability_number("CAP_KILL") == CAP_KILL);
  CHECK(capability_number("CAP_NET_BIND_SERVICE") == CAP_NET_BIND_SERVICE);
  CHECK(capability_number("CAP_SYS_ADMIN") == CAP_SYS_ADMIN);
  CHECK(capability_number("CAP_AUDIT_WRITE") == CAP_AUDIT_WRITE);
  CHECK(capability_number("CAP_SYSLOG") == CAP_SYSLOG);
  CHECK(capability_number("CAP_CHECKPOINT_RESTORE") == CAP_LAST_CAP);
}

TEST_CASE("capability: other names are none") {
  for (const char* const name : {"", "CAP_", "KILL", "cap_kill", "CAP_KILL ", "CAP_NOTHING"})
    CHECK_FALSE(capability_number(name));
}
