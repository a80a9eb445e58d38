// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/aufs_probe.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("aufs_probe: says whether the kernel has it, and leaves nothing behind") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const support::leak_snapshot before("a mount of the probe's");
  const absl::Status found = rootfs::probe_aufs(place.path());
  const bool listed = sys::read_file("/proc/filesystems")->find("\taufs\n") != std::string::npos;
  CHECK_MESSAGE(found.ok() == listed, std::string(message(found)));
  if (!listed)
    CHECK(message(found) ==
          "mount aufs: No such device (the kernel has no aufs: it is not part of Linux, and few distributions add it)");
  CHECK(std::filesystem::is_empty(place.path()));
  CHECK(before.leaked() == "");
}

TEST_CASE("aufs_probe: is refused without privileges") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 01777) == 0);
  const auto said = support::in_child({.uid = support::nobody}, [&]() -> std::string {
    return std::string(message(rootfs::probe_aufs(place.path())));
  });
  CHECK(said.text == "make a process to try in: Operation not permitted");
}
