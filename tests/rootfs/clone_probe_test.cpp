// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/clone_probe.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <mortise/model/layer.hpp>
#include <mortise/model/plan.hpp>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;
using model::overlay_layers;
using model::unprivileged_overlay_layers;
using model::mount_flag::read_only;

namespace {

template <class Format>
std::string probe(const std::string& directory) {
  return std::string(message(rootfs::probe_clone<Format>(directory, read_only)));
}

}  // namespace

TEST_CASE("clone_probe: root shares a directory, and keeps nothing of the probe") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const support::leak_snapshot before;
  CHECK(probe<overlay_layers>(place.path()) == "");
  CHECK(before.leaked() == "");
  CHECK(support::names_in(place.path()).empty());
  CHECK(probe<overlay_layers>("/nowhere") == "make a directory in '/nowhere': No such file or directory");
}

TEST_CASE("clone_probe: a user without privileges does it in a user namespace, and only there") {
  if (support::missing_root() || support::missing_user_namespaces()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 01777) == 0);
  const support::child_options nobody{.uid = support::nobody};
  CHECK(support::in_child(nobody, [&] { return probe<unprivileged_overlay_layers>(place.path()); }).text == "");
  CHECK(support::in_child(nobody, [&] { return probe<overlay_layers>(place.path()); }).text ==
        "make a process to try in: Operation not permitted");
  CHECK(support::names_in(place.path()).empty());
}

TEST_CASE("clone_probe: an older kernel is told from a caller who may not") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto said_without = [&](long call, int error) {
    return support::deny({call}, error, [&] { return probe<overlay_layers>(place.path()); }).text;
  };
  CHECK(said_without(SYS_open_tree, ENOSYS) ==
        "share a directory: Function not implemented (needs Linux 5.2, and 5.12 to be read-only)");
  CHECK(said_without(SYS_mount_setattr, ENOSYS) ==
        "share a directory: Function not implemented (needs Linux 5.2, and 5.12 to be read-only)");
  CHECK(said_without(SYS_open_tree, EPERM) == "share a directory: Operation not permitted (needs CAP_SYS_ADMIN)");
}
