// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/tree.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace mortise::erofs;

TEST_CASE("names lead to inodes, and an inode counts its names") {
  tree all;
  const auto file = all.add({.mode = S_IFREG | 0644});
  all.link(tree::root, "a", file, 0);
  all.link(tree::root, "b", file, 0);
  CHECK(all.at(file).links == 2);
  REQUIRE(all.find(tree::root, "a") != nullptr);
  CHECK(all.find(tree::root, "a")->inode == file);
  CHECK(all.find(tree::root, "c") == nullptr);
  const auto other = all.add({.mode = S_IFREG | 0600});
  all.link(tree::root, "a", other, 1);
  CHECK(all.at(file).links == 1);
  CHECK(all.find(tree::root, "a")->layer == 1);
  all.link(tree::root, "a", other, 2);
  CHECK(all.at(other).links == 1);
}

TEST_CASE("what is removed goes with all that is in it, however deep that is") {
  tree all;
  const auto kept = all.add({.mode = S_IFREG | 0644});
  all.link(tree::root, "kept", kept, 0);
  std::uint32_t in = tree::root;
  for (int level = 0; level < 100'000; ++level) {
    const auto next = all.add({.mode = S_IFDIR | 0755});
    all.make_directory(next, in);
    all.link(in, "d", next, 0);
    in = next;
  }
  all.link(in, "kept-too", kept, 0);
  CHECK(all.names_of(tree::root).subdirectories == 1);
  CHECK(all.remove(tree::root, "d"));
  CHECK(all.at(kept).links == 1);
  CHECK(all.names_of(tree::root).subdirectories == 0);
  CHECK(!all.remove(tree::root, "d"));
}

TEST_CASE("equal sets of attributes are kept once, and what is kept is weighed") {
  tree all;
  const auto before = all.weight();
  CHECK(all.add_xattrs("") == none);
  const auto one = all.add_xattrs("one");
  CHECK(all.add_xattrs("two") != one);
  CHECK(all.add_xattrs("one") == one);
  const auto file = all.add({.xattrs = one, .mode = S_IFREG});
  CHECK(all.xattrs_of(file) == "one");
  const auto link = all.add({.more = all.add_target("where"), .mode = S_IFLNK});
  CHECK(all.target_of(link) == "where");
  CHECK(all.weight() > before);
}
