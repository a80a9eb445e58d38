// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/project_quota.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <support/fork.hpp>
#include <support/loop_disk.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE_TEMPLATE("project_quota: a directory's project is counted, bounded, and let go", Kind, support::ext4_quotas,
                   support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk) return;
  const auto directory = sys::open(*disk / "d", O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  CHECK(sys::project_of(directory->get()) == 0);
  const auto project = sys::new_project(directory->get(), {1 << 20});
  REQUIRE_MESSAGE(project.ok(), message(project.status()));
  REQUIRE(sys::set_project(directory->get(), *project).ok());
  CHECK(sys::project_of(directory->get()) == *project);
  CHECK(sys::use_of_project(directory->get(), *project)->limit.count == 1 << 20);
  const auto file = sys::open(*disk / "d/file", O_WRONLY | O_CREAT, 0600);
  REQUIRE(file.ok());
  CHECK(sys::write_all(file->get(), std::string(500'000, 'x')).ok());
  REQUIRE(::fsync(file->get()) == 0);
  CHECK(sys::use_of_project(directory->get(), *project)->used.count >= 500'000);
  CHECK(sys::use_of_project(directory->get(), *project)->inodes >= 1);
  // Who has CAP_SYS_RESOURCE is above quotas.
  const auto full = support::in_child({.uid = support::nobody}, [&] {
    const int problem = errno_of(sys::write_all(file->get(), std::string(2'000'000, 'x')));
    return std::string(problem == EDQUOT || problem == ENOSPC ? "full" : errno_text(problem));
  });
  CHECK(full.text == "full");
  REQUIRE(sys::limit_project(directory->get(), *project, {}).ok());
  CHECK(sys::write_all(file->get(), std::string(2'000'000, 'x')).ok());
}

TEST_CASE("project_quota: a file system without them says so") {
  const support::temporary_directory place;
  const auto directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  CHECK(!sys::new_project(directory->get(), {1 << 20}).ok());
  CHECK(!sys::use_of_project(directory->get(), 12345));
  CHECK(sys::project_of(-1) == 0);
  CHECK(!sys::set_project(-1, 1).ok());
}
