// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/attributes.hpp>

#include <doctest/doctest.h>

#include <archive/tree.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::archive::attribute_writer;
using mortise::archive::entry;
using mortise::archive::entry_type;
using mortise::archive::image_may_set;

TEST_CASE("attributes by which an image would speak for its host are not its to set") {
  for (const char* const name :
       {"security.selinux", "security.ima", "security.evm", "system.nfs4_acl", "trusted.overlay.opaque",
        "trusted.overlay.redirect", "trusted.overlay.metacopy", "user.overlay.opaque", "user.overlay.whiteout"})
    CHECK_FALSE_MESSAGE(image_may_set(name), name);
  for (const char* const name :
       {"security.capability", "user.note", "trusted.mine", "system.posix_acl_access", "user.overlayed"})
    CHECK_MESSAGE(image_may_set(name), name);
  CHECK(attribute_writer(true).may_set("security.capability"));
  CHECK_FALSE(attribute_writer(false).may_set("security.capability"));
  CHECK(attribute_writer(false).may_set("user.note"));
}

TEST_CASE("set-user-ID bits and file capabilities outlast the change of owner") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const std::string capability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  entry about;
  about.mode = 06755;
  about.uid = 12;
  about.gid = 34;
  about.modified = {1000, 5};
  about.accessed = {2000, 6};
  about.xattrs = {{"security.capability", capability}, {"security.selinux", "label"}};
  attribute_writer attributes(true);
  const auto file = mortise::sys::open(place / "file", O_WRONLY | O_CREAT, 0600);
  REQUIRE(attributes.finish_file(file->get(), about).ok());
  CHECK(attributes.skipped() == 0);
  const support::tree tree(place.path());
  CHECK(tree["file"] == "file 6755 12:34 '' security.capability=" + mortise::printable(capability));
  CHECK(tree.about("file").st_mtim.tv_nsec == 5);
  CHECK(tree.about("file").st_atim.tv_sec == 2000);
}

TEST_CASE("a file is made with its own mode only where it is its owner's from the start") {
  entry about;
  about.mode = 06755;
  about.uid = ::geteuid();
  about.gid = ::getegid();
  CHECK(attribute_writer(true).first_mode(about) == 0755);
  about.gid += 1;
  CHECK(attribute_writer(true).first_mode(about) == 0600);
  CHECK(attribute_writer(false).first_mode(about) == 0755);
}

TEST_CASE("owner and mode are set where they are not right from the start") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chown(place.path().c_str(), 0, 5) == 0);
  REQUIRE(::chmod(place.path().c_str(), 02755) == 0);  // what is made in it gets the group 5
  const auto directory = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  entry about;
  about.mode = 0666;  // more than the usual umask leaves
  attribute_writer attributes(true);
  const auto file = mortise::sys::open(place / "file", O_WRONLY | O_CREAT, attributes.first_mode(about));
  REQUIRE(attributes.finish_file(file->get(), about).ok());
  REQUIRE(::symlink("file", (place / "soft").c_str()) == 0);
  about.type = entry_type::symbolic_link;
  REQUIRE(attributes.finish_node(directory->get(), "soft", about).ok());
  REQUIRE(::mkdir((place / "below").c_str(), 0700) == 0);
  const auto below = mortise::sys::open(place / "below", O_RDONLY | O_DIRECTORY);
  about.type = entry_type::directory;
  REQUIRE(attributes.begin_directory(below->get(), about).ok());
  const support::tree tree(place.path());
  CHECK(tree["file"] == "file 0666 0:0 ''");
  CHECK(tree.about("soft").st_gid == 0);
  CHECK(tree.about("below").st_gid == 0);
}

TEST_CASE("an access control list does not change the mode of its file") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  // Version 2; the owner rwx, user 9 rwx, the group rwx, the mask rwx, others nothing.
  const std::string list(
      "\2\0\0\0"
      "\1\0\7\0\xff\xff\xff\xff"
      "\2\0\7\0\x09\0\0\0"
      "\4\0\7\0\xff\xff\xff\xff"
      "\x10\0\7\0\xff\xff\xff\xff"
      "\x20\0\0\0\xff\xff\xff\xff",
      44);
  entry about;
  about.mode = 0644;
  about.xattrs = {{"system.posix_acl_access", list}};
  attribute_writer attributes(true);
  const auto file = mortise::sys::open(place / "file", O_WRONLY | O_CREAT, attributes.first_mode(about));
  REQUIRE(attributes.finish_file(file->get(), about).ok());
  if (attributes.skipped() > 0) return support::skip("a file system with access control lists");
  CHECK((support::tree(place.path()).about("file").st_mode & 07777U) == 0644);
}

TEST_CASE("a symbolic link gets its own attributes, not its target") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto directory = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(mortise::sys::open(place / "target", O_WRONLY | O_CREAT, 0640).ok());
  REQUIRE(::symlink("target", (place / "soft").c_str()) == 0);
  const struct stat before = support::tree(place.path()).about("target");
  entry about;
  about.type = entry_type::symbolic_link;
  about.uid = 7;
  about.modified = {77, 0};
  about.xattrs = {{"user.note", "impossible"}, {"trusted.note", "possible"}};
  attribute_writer attributes(true);
  REQUIRE(attributes.finish_node(directory->get(), "soft", about).ok());
  CHECK(attributes.skipped() == 1);
  const support::tree tree(place.path());
  CHECK(tree["soft"] == "link 0777 7:0 -> target trusted.note=possible");
  CHECK(tree.about("soft").st_mtim.tv_sec == 77);
  CHECK(tree["target"] == "file 0640 0:0 ''");
  CHECK(tree.about("target").st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

TEST_CASE("clearing takes away what an image set, and nothing else") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto directory = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  for (const char* const name : {"user.note", "trusted.overlay.opaque", "trusted.mine"})
    REQUIRE(mortise::sys::set_xattr(directory->get(), name, "y").ok());
  REQUIRE(attribute_writer(true).clear_xattrs(directory->get()).ok());
  CHECK(support::tree(place.path())["."].ends_with("0:0 trusted.overlay.opaque=y"));
}

TEST_CASE("without owners to keep, the owner stays the caller's") {
  const support::temporary_directory place;
  const auto file = mortise::sys::open(place / "file", O_WRONLY | O_CREAT, 0600);
  entry about;
  about.mode = 0644;
  about.uid = 4000;
  about.xattrs = {{"security.capability", "x"}, {"system.posix_acl_access", "x"}, {"trusted.overlay.opaque", "y"}};
  attribute_writer attributes(false);
  REQUIRE(attributes.finish_file(file->get(), about).ok());
  CHECK(attributes.skipped() == 2);  // what no image may set is not counted
  CHECK(support::tree(place.path()).about("file").st_uid == ::geteuid());
}
