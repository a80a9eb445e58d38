// SPDX-License-Identifier: Apache-2.0
// What is done with the directories is tested by the suites for backends.
#include <mortise/rootfs/upper.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <mortise/model/plan_text.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/temporary.hpp>

using namespace mortise;
using form = model::unprivileged_overlay_layers;

TEST_CASE("upper: directories of the container's own, with the root's attributes") {
  const support::temporary_directory place;
  const std::string box = place / "box";
  REQUIRE(::mkdir(box.c_str(), 0700) == 0);
  REQUIRE(::mkdir((place / "top").c_str(), 0700) == 0);
  REQUIRE(::chmod((place / "top").c_str(), 01751) == 0);
  const auto top = sys::open(place / "top", O_RDONLY | O_DIRECTORY);
  REQUIRE(top.ok());
  model::plan plan;
  const model::layers layers;
  const auto made = rootfs::make_upper<form>({layers, box}, top->get(), plan);
  REQUIRE(made.ok());
  CHECK(made->upper == box + "/upper");
  CHECK(made->work == box + "/work");
  struct stat about{};
  REQUIRE(::stat(made->upper.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 01751);
  CHECK(::access(made->work.c_str(), F_OK) == 0);
  CHECK(plan.at(model::stage::root).empty());
  CHECK(rootfs::writable_root(*made).writable == std::vector<std::string>{made->upper, made->work});
}

TEST_CASE("upper: with a bound both lie in a tmpfs of that size") {
  const support::temporary_directory place;
  const std::string box = place / "box";
  REQUIRE(::mkdir(box.c_str(), 0700) == 0);
  const auto top = sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  model::plan plan;
  const model::layers layers;
  const auto made = rootfs::make_upper<form>({layers, box, 3_MiB}, top->get(), plan);
  REQUIRE(made.ok());
  CHECK(made->upper == box + "/bounded/upper");
  CHECK(made->work == box + "/bounded/work");
  CHECK(model::to_text(plan) ==
        concat("clone flags 0x0\nroot\n  mount tmpfs mode=700,size=3145728 -> #1\n  attach at '", box,
               "/bounded' <- #1\n  make directory '#1/upper' like ", box, "/upper\n  make directory '#1/work'\n"));
}

TEST_CASE("upper: what the kernel leaves of a volatile overlay is removed by name, what was written stays") {
  const support::temporary_directory place;
  rootfs::detail::remove_unwritten(place / "missing");
  for (const std::string each : {"upper/etc", "work/work/incompat/volatile"})
    REQUIRE(sys::make_directories(place / each).ok());
  REQUIRE(sys::open(place / "work/work/incompat/volatile/dirty", O_WRONLY | O_CREAT, 0600).ok());
  rootfs::detail::remove_unwritten(place.path());
  CHECK(::access((place / "work").c_str(), F_OK) != 0);
  CHECK(::access((place / "upper/etc").c_str(), F_OK) == 0);
  CHECK(rootfs::destroy_upper(place.path()).value());
  CHECK(::access(place.path().c_str(), F_OK) != 0);
  CHECK_FALSE(rootfs::destroy_upper(place.path()).value());
  REQUIRE(::mkdir(place.path().c_str(), 0700) == 0);
}
