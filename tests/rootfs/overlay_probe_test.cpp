// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/overlay_probe.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <mortise/model/layer.hpp>
#include <string>
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

TEST_CASE("overlay_probe: what cannot carry an overlay is refused with the reason") {
  if (support::missing_root()) return;
  const std::string on_overlay = probe_on([](const std::string& at) -> std::string {
    for (const char* const each : {"/l", "/u", "/w", "/m"}) ::mkdir((at + each).c_str(), 0700);
    const std::string options = "lowerdir=" + at + "/l,upperdir=" + at + "/u,workdir=" + at + "/w";
    return ::mount("overlay", at.c_str(), "overlay", 0, options.c_str()) == 0 ? "" : "cannot mount";
  });
  CHECK(on_overlay.find("the file system cannot carry it: another overlay") != std::string::npos);
  const std::string on_ramfs = probe_on([](const std::string& at) {
    return ::mount("ramfs", at.c_str(), "ramfs", 0, nullptr) == 0 ? "" : "cannot mount";
  });
  CHECK(on_ramfs.find("the file system must have such attributes") != std::string::npos);
  CHECK(message(rootfs::probe_overlay<overlay_layers>("/nowhere")) ==
        "make a directory in '/nowhere': No such file or directory");
}
