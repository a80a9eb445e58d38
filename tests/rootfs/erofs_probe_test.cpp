// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/erofs_probe.hpp>

#include <doctest/doctest.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

/// What a probe in a fresh directory says, and whether it left that empty.
std::string probe(rootfs::erofs_way way) {
  const support::temporary_directory place;
  const absl::Status status = rootfs::probe_erofs(place.path(), way);
  CHECK_MESSAGE(::rmdir(place.path().c_str()) == 0, "nothing is left behind");
  CHECK(::mkdir(place.path().c_str(), 0700) == 0);
  return std::string(message(status));
}

}  // namespace

TEST_CASE("probing for EROFS mounts an empty image, and leaves nothing") {
  if (support::missing_root()) return;
  const std::string text = probe(rootfs::erofs_way::any);
  if (text.find("No such device") != std::string::npos || text.find("6.4") != std::string::npos)
    return support::skip("needs a kernel that mounts EROFS in blocks of 512 bytes: " + text);
  CHECK(text == "");
  CHECK(probe(rootfs::erofs_way::loop) == "");
}

TEST_CASE("a file system whose files cannot carry EROFS is served by loop devices") {
  if (support::missing_root()) return;
  const std::string here = probe(rootfs::erofs_way::any);
  if (!here.empty()) return support::skip("needs a kernel that mounts EROFS: " + here);
  const auto seen = support::in_child({.namespaces = CLONE_NEWNS}, [] {
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    (void)::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr);
    return std::string(message(rootfs::probe_erofs("/mnt", rootfs::erofs_way::any)));
  });
  CHECK(seen.ok());
  CHECK(seen.text == "");
}

TEST_CASE("a kernel that knows EROFS, and not blocks of 512 bytes, is told from one without") {
  if (support::missing_root() || !probe(rootfs::erofs_way::any).empty())
    return support::skip("needs root, and a kernel that mounts EROFS");
  if (support::overlays_by_mount_only()) return support::skip("needs Linux 6.5, to imitate an older one");
  const support::temporary_directory place;
  const auto seen = support::in_child({}, [&] {
    support::deny_fsconfig({FSCONFIG_CMD_CREATE});
    return std::string(message(rootfs::probe_erofs(place.path(), rootfs::erofs_way::any)));
  });
  CHECK(seen.text == "mount erofs: Invalid argument (blocks of 512 bytes need Linux 6.4)");
  CHECK(support::names_in(place.path()).empty());
}

TEST_CASE("probing for EROFS says why it cannot be") {
  CHECK(message(rootfs::probe_erofs("/nowhere", rootfs::erofs_way::any)) ==
        "make a directory in '/nowhere': No such file or directory");
  if (support::missing_user_namespaces()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  const auto seen = support::in_child({.namespaces = CLONE_NEWUSER | CLONE_NEWNS}, [&] {
    return std::string(message(rootfs::probe_erofs(place.path(), rootfs::erofs_way::any)));
  });
  if (seen.text.find("no EROFS") != std::string::npos) return support::skip("needs a kernel with EROFS");
  CHECK(seen.text.find("Operation not permitted") != std::string::npos);
}
