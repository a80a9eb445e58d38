// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/overlay_probe.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>
#include <mortise/model/layer.hpp>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;
using model::overlay_layers;
using model::unprivileged_overlay_layers;

namespace {

/// What a probe says of a file system that `mount` makes at the directory which it is given.
template <class Mount>
std::string probe_on(Mount mount) {
  const support::temporary_directory place;
  return support::in_child({.namespaces = CLONE_NEWNS},
                           [&]() -> std::string {
                             (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
                             const std::string problem = mount(place.path());
                             if (!problem.empty()) return problem;
                             return std::string(message(rootfs::probe_overlay<overlay_layers>(place.path())));
                           })
      .text;
}

}  // namespace

TEST_CASE("overlay_probe: a usual file system carries one, and keeps nothing of the probe") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  CHECK(message(rootfs::probe_overlay<overlay_layers>(place.path())) == "");
  CHECK_MESSAGE(::rmdir(place.path().c_str()) == 0, "it is empty");
  REQUIRE(::mkdir(place.path().c_str(), 0700) == 0);
  CHECK(probe_on([](const std::string& at) {
          return ::mount("tmpfs", at.c_str(), "tmpfs", 0, nullptr) == 0 ? "" : "cannot mount";
        }) == "");
}

TEST_CASE("overlay_probe: a user without privileges makes one in a user namespace") {
  if (support::missing_user_namespaces()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 01777) == 0);
  support::child_options options;
  if (::geteuid() == 0) options.uid = support::nobody;
  const auto said = support::in_child(
      options, [&] { return std::string(message(rootfs::probe_overlay<unprivileged_overlay_layers>(place.path()))); });
  CHECK(said.text == "");
}

TEST_CASE("overlay_probe: a disk that keeps no types in its directories is refused") {
  if (support::missing_root()) return;
  if (support::find_program("mke2fs").empty() || ::access("/dev/loop-control", R_OK | W_OK) != 0)
    return support::skip("needs mke2fs (Debian: e2fsprogs) and loop devices");
  const support::temporary_directory place;
  const std::string disk = place / "disk";
  const std::string make = concat("mke2fs -q -t ext2 -O ^filetype ", disk, " 2048 >/dev/null 2>&1");
  REQUIRE(std::system(make.c_str()) == 0);
  const std::string said = probe_on([&](const std::string& at) -> std::string {
    const std::string mount = concat("mount -o loop ", disk, ' ', at);
    return std::system(mount.c_str()) == 0 ? "" : "cannot mount";
  });
  CHECK(said == "the file system does not tell types in directories (d_type)");
}

TEST_CASE("overlay_probe: a kernel without overlayfs, and a user without privileges, are told apart") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto said_when = [&](int error) {
    const auto probe = [&] { return std::string(message(rootfs::probe_overlay<overlay_layers>(place.path()))); };
    return support::deny({SYS_fsopen}, error, probe).text;
  };
  CHECK(said_when(ENODEV) == "mount overlay: No such device (the kernel has no overlayfs: CONFIG_OVERLAY_FS)");
  CHECK(said_when(EPERM) == "mount overlay: Operation not permitted (needs CAP_SYS_ADMIN)");
  CHECK_MESSAGE(::rmdir(place.path().c_str()) == 0, "nothing is left behind");
  REQUIRE(::mkdir(place.path().c_str(), 0700) == 0);
}

TEST_CASE("overlay_probe: what cannot carry an overlay is refused with the reason") {
  if (support::missing_root()) return;
  const std::string on_overlay = probe_on([](const std::string& at) -> std::string {
    for (const char* const each : {"/l", "/u", "/w", "/m"}) ::mkdir((at + each).c_str(), 0700);
    const std::string options = "lowerdir=" + at + "/l,upperdir=" + at + "/u,workdir=" + at + "/w";
    return ::mount("overlay", at.c_str(), "overlay", 0, options.c_str()) == 0 ? "" : "cannot mount";
  });
  const bool by_kernel = on_overlay.find("the file system cannot carry it: another overlay") != std::string::npos;
  // Before Linux 6.7 an overlay has none of overlayfs' own attributes.
  const bool by_attribute = on_overlay.find("the file system must have such attributes") != std::string::npos;
  CHECK_MESSAGE((by_kernel || by_attribute), on_overlay);
  const std::string on_ramfs = probe_on([](const std::string& at) {
    return ::mount("ramfs", at.c_str(), "ramfs", 0, nullptr) == 0 ? "" : "cannot mount";
  });
  CHECK(on_ramfs.find("the file system must have such attributes") != std::string::npos);
  CHECK(message(rootfs::probe_overlay<overlay_layers>("/nowhere")) ==
        "make a directory in '/nowhere': No such file or directory");
}
