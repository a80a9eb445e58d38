// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/mount.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <mortise/sys/fd.hpp>
#include <string>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace sys = mortise::sys;

TEST_CASE("mount: a context's words come without their mark and their end") {
  CHECK(sys::context_words("e overlay: no such layer\n") == "overlay: no such layer");
  CHECK(sys::context_words("overlay: no such layer") == "overlay: no such layer");
  CHECK(sys::context_words("\n").empty());
}

TEST_CASE("mount: detached trees are attached by descriptor, or leave nothing") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const support::leak_snapshot before;
  {
    const sys::unique_fd context(static_cast<int>(sys::raw_fsopen("tmpfs")));
    REQUIRE(context);
    CHECK(sys::raw_fsconfig_string(context.get(), "size", "1m") == 0);
    CHECK(sys::raw_fsconfig_flag(context.get(), "nonsense") == -EINVAL);
    REQUIRE(sys::raw_fsconfig_create(context.get()) == 0);
    const sys::unique_fd tree(static_cast<int>(sys::raw_fsmount(context.get(), MOUNT_ATTR_NODEV)));
    REQUIRE(tree);
    CHECK(::mkdirat(tree.get(), "inside", 0755) == 0);
    const sys::unique_fd copy(static_cast<int>(sys::raw_clone_tree(tree.get(), "", false)));
    if (copy.get() == -EINVAL) return support::skip("needs Linux 6.15, which copies detached mounts");
    REQUIRE(copy);
    CHECK(sys::raw_set_mount_flags(copy.get(), MOUNT_ATTR_RDONLY, true) == 0);
    const sys::unique_fd parent(sys::open(place.path(), O_PATH | O_DIRECTORY)->release());
    CHECK(sys::raw_attach(copy.get(), parent.get()) == 0);
    CHECK(::mkdir((place / "inside/new").c_str(), 0755) == -1);
    CHECK(errno == EROFS);
    CHECK(sys::raw_attach_at(tree.get(), copy.get(), "inside") == 0);
    CHECK(::mkdir((place / "inside/new").c_str(), 0755) == 0);
    CHECK(::umount2(place.path().c_str(), MNT_DETACH) == 0);
  }
  CHECK(sys::raw_clone_tree(AT_FDCWD, "/nowhere", false) == -ENOENT);
  CHECK(before.leaked() == "");
}
