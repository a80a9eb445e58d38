// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/erofs_mount.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <rootfs/smallest_image.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("a packed image is mounted detached and read-only, by file and by loop device") {
  if (support::missing_root() || support::missing_erofs()) return;
  const support::temporary_directory place;
  const auto directory = support::smallest_image(place.path() + "/image");
  for (const auto way : {rootfs::erofs_way::any, rootfs::erofs_way::file, rootfs::erofs_way::loop}) {
    const auto tree = rootfs::mount_erofs(directory.get(), way);
    if (!tree.ok() && way == rootfs::erofs_way::file) continue;  // before Linux 6.12
    REQUIRE_MESSAGE(tree.ok(), message(tree.status()));
    struct stat about{};
    CHECK(::fstat(tree->get(), &about) == 0);
    CHECK(about.st_mode == (S_IFDIR | 0755));
    struct statvfs all{};
    CHECK(::fstatvfs(tree->get(), &all) == 0);
    CHECK((all.f_flag & ST_RDONLY) != 0);
    CHECK(::mkdirat(tree->get(), "new", 0700) != 0);
    CHECK(errno == EROFS);
    CHECK(support::mounts_named("erofs") == 0);
  }
}

TEST_CASE("what is no packed image is refused in the kernel's words, with what may help") {
  if (support::missing_root() || support::missing_erofs()) return;
  const support::temporary_directory place;
  const auto directory = support::smallest_image(place.path() + "/image");
  const auto mounted = [&] { return std::string(message(rootfs::mount_erofs(directory.get()).status())); };
  REQUIRE(sys::replace_file_at(directory.get(), "index", std::string(4096, 'x')).ok());
  CHECK(mounted().find("Invalid argument") != std::string::npos);
  REQUIRE(::unlinkat(directory.get(), "index", 0) == 0);
  CHECK(mounted().find("No such file or directory") != std::string::npos);
  REQUIRE(::symlinkat("/etc/passwd", directory.get(), "0") == 0);
  REQUIRE(sys::replace_file_at(directory.get(), "index", "").ok());
  CHECK(mounted() != "");
}

TEST_CASE("without privileges an image cannot be mounted, and it is said") {
  if (support::missing_user_namespaces()) return;
  const support::temporary_directory place;
  const auto directory = support::smallest_image(place.path() + "/image");
  const auto seen = support::in_child({.namespaces = CLONE_NEWUSER | CLONE_NEWNS}, [&] {
    return std::string(message(rootfs::mount_erofs(directory.get()).status()));
  });
  if (seen.text.find("no EROFS") != std::string::npos) return support::skip("needs a kernel with EROFS");
  CHECK(seen.text.find("Operation not permitted (EROFS is for root of the first user namespace only)") !=
        std::string::npos);
}
