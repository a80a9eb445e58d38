// SPDX-License-Identifier: Apache-2.0
// What containers write is counted in container/roots_test.cpp.
#include <mortise/launch/written.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <mortise/rootfs/project_bound.hpp>
#include <mortise/sys/process.hpp>
#include <string>
#include <support/loop_disk.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

launch::process this_process() { return {::getpid(), *sys::open_process(::getpid())}; }

}  // namespace

TEST_CASE("written: a read-only root is nothing, and directories are added up") {
  const launch::process self = this_process();
  CHECK(launch::written({}, self)->inodes == 0);
  const support::temporary_directory place;
  for (const char* const each : {"upper", "work", "upper/d"}) REQUIRE(::mkdir((place / each).c_str(), 0700) == 0);
  CHECK(launch::written({{place / "upper", place / "work"}}, self)->inodes == 3);
  CHECK(message(launch::written({{place / "none"}}, self).status()).starts_with("count what was written: open '"));
}

TEST_CASE("written: a private root is asked for by its process, as long as that lives") {
  const model::rootfs root{{"/nowhere"}, true};
  CHECK(launch::written(root, this_process()).ok());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  launch::process ended(child, *sys::open_process(child));
  REQUIRE(ended.wait().ok());
  CHECK(ended.has_ended());
  CHECK(message(launch::written(root, ended).status()) ==
        "count what was written: what it has written went with its first process");
}

TEST_CASE_TEMPLATE("written: a project's count is the kernel's", Kind, support::ext4_quotas, support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk) return;
  const std::string upper = *disk / "d/upper";
  REQUIRE(::mkdir(upper.c_str(), 0700) == 0);
  REQUIRE(rootfs::bound_by_project(upper, {1 << 20}).ok());
  const auto file = sys::open(upper + "/file", O_WRONLY | O_CREAT, 0600);
  REQUIRE(sys::write_all(file->get(), std::string(300'000, 'x')).ok());
  const auto use = launch::written({{upper}}, this_process());
  REQUIRE(use.ok());
  CHECK(use->inodes == 2);
  CHECK(use->used.count >= 300'000);
}
