// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/capabilities.hpp>

#include <doctest/doctest.h>
#include <linux/capability.h>

#include <isolate/prepared.hpp>

namespace isolate = mortise::isolate;

TEST_CASE("capabilities: numbers are the kernel's" * doctest::test_suite("unprivileged")) {
  static_assert(static_cast<int>(isolate::capability::chown) == CAP_CHOWN);
  static_assert(static_cast<int>(isolate::capability::sys_admin) == CAP_SYS_ADMIN);
  static_assert(static_cast<int>(isolate::capability::setfcap) == CAP_SETFCAP);
  static_assert(static_cast<int>(isolate::capability::checkpoint_restore) == CAP_CHECKPOINT_RESTORE);
  static_assert(isolate::default_capabilities.bits() == 0xa80425fb);
  static_assert(isolate::default_capabilities.has(isolate::capability::kill));
  static_assert(!isolate::default_capabilities.has(isolate::capability::sys_admin));
  CHECK(prepared::plan_of<isolate::capabilities>() ==
        "clone flags 0x0\nbounding\n  drop capabilities from the bounding set but 0xa80425fb\nprivileges\n"
        "  set capabilities: permitted 0xa80425fb ambient 0x0\n");
  CHECK(prepared::plan_of<isolate::capabilities>({isolate::capabilities::keep({isolate::capability::chown})}) ==
        "clone flags 0x0\nbounding\n  drop capabilities from the bounding set but 0x1\nprivileges\n"
        "  set capabilities: permitted 0x1 ambient 0x0\n");
  CHECK(prepared::plan_of<isolate::no_new_privileges>() == "clone flags 0x0\nprivileges\n  forbid new privileges\n");
}

TEST_CASE("capabilities: a set by the kernel's numbers") {
  CHECK(isolate::capability_set::from_bits(1U << 5U) == isolate::capability_set{isolate::capability::kill});
  CHECK(isolate::capability_set::from_bits(isolate::default_capabilities.bits()) == isolate::default_capabilities);
}
