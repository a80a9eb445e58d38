// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/compat.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/sys/process.hpp>

TEST_CASE("compat: pidfd_info has the kernel's size and layout" * doctest::test_suite("unprivileged")) {
  static_assert(sizeof(mortise::sys::pidfd_info) == 64);
  const auto self = mortise::sys::open_process(::getpid());
  REQUIRE(self.ok());
  mortise::sys::pidfd_info about;
  about.mask = 1;
  if (::ioctl(self->get(), mortise::sys::pidfd_get_info, &about) != 0) {
    CHECK((errno == ENOTTY || errno == EINVAL));  // before Linux 6.13
    return;
  }
  CHECK(about.tgid == static_cast<std::uint32_t>(::getpid()));
}
