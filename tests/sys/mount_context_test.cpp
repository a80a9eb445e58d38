// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/mount_context.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <support/skip.hpp>

using namespace mortise;
using sys::mount_context;

namespace {

std::string_view help(int problem) { return problem == ENODEV ? "buy another kernel" : ""; }

}  // namespace

TEST_CASE("mount_context: makes what its options say, seen by nobody") {
  if (support::missing_root()) return;
  auto context = mount_context::open("tmpfs");
  REQUIRE_MESSAGE(context.ok(), std::string(message(context.status())));
  CHECK(context->set("mode", "711").ok());
  CHECK(context->set("size", "65536").ok());
  const auto tree = context->mount(0);
  REQUIRE(tree.ok());
  struct stat about{};
  REQUIRE(::fstat(tree->get(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0711);
  CHECK(::mkdirat(tree->get(), "d", 0700) == 0);
}

TEST_CASE("mount_context: refusals are the kernel's words, with what helps") {
  if (support::missing_root()) return;
  CHECK(message(mount_context::open("nowhere-fs", help).status()) ==
        "mount nowhere-fs: No such device (buy another kernel)");
  auto context = mount_context::open("tmpfs", help);
  REQUIRE(context.ok());
  CHECK(message(context->set("no-such")) ==
        "mount tmpfs: no-such: tmpfs: Unknown parameter 'no-such': Invalid argument");
  CHECK(message(context->set("size", "much")).starts_with("mount tmpfs: size: "));
  CHECK(message(context->set("size", 0)).starts_with("mount tmpfs: size: "));
}
