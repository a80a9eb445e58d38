// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/merge.hpp>

#include <doctest/doctest.h>

#include <archive/tar_builder.hpp>
#include <atomic>
#include <digest/memory_reader.hpp>
#include <string>

using namespace mortise;
using erofs::tree;
using support::tar_builder;

namespace {

absl::Status apply(tree& to, std::uint32_t layer, const std::string& tar,
                   std::optional<mortise::archive::subtree> only = {}) {
  const mortise::archive::limits caps;
  support::memory_reader bytes(tar, 1 << 20);
  return erofs::merger(to, layer, caps, only, nullptr).run(bytes, tar.size()).status();
}

/// "a d/ d/b": all that the tree has.
std::string names(const tree& all, std::uint32_t in = tree::root, const std::string& before = {}) {
  std::string out;
  for (const auto& [text, each] : all.names_of(in).names) {
    append(out, out.empty() ? "" : " ", before, text);
    if (!all.at(each.inode).is_directory()) continue;
    const std::string below = names(all, each.inode, concat(before, text, '/'));
    append(out, '/', below.empty() ? "" : " ", below);
  }
  return out;
}

}  // namespace

TEST_CASE("a later layer wins, deletes, and hides") {
  tree all;
  REQUIRE(apply(all, 0, tar_builder().file("a").file("d/b").file("d/c").file("e/f").text()).ok());
  CHECK(names(all) == "a d/ d/b d/c e/ e/f");
  REQUIRE(apply(all, 1, tar_builder().file(".wh.a").file("d/.wh.b").file("d/x").file("e/.wh..wh..opq").text()).ok());
  CHECK(names(all) == "d/ d/c d/x e/");
}

TEST_CASE("a layer deletes nothing of its own, wherever in its tar it says so") {
  for (const bool first : {true, false}) {
    tree all;
    REQUIRE(apply(all, 0, tar_builder().file("d/low").file("f").text()).ok());
    tar_builder tar;
    if (first) tar.file(".wh.d").file(".wh.f");
    tar.file("d/own").file("f", "new");
    if (!first) tar.file(".wh.d").file(".wh.f");
    REQUIRE(apply(all, 1, tar.text()).ok());
    CHECK(names(all) == "d/ d/own f");
  }
}

TEST_CASE("data is found where it lies in the tar") {
  tree all;
  REQUIRE(apply(all, 0, tar_builder().file("a", std::string(600, 'a')).file("empty").file("b", "b").text()).ok());
  const auto& a = all.at(all.find(tree::root, "a")->inode);
  CHECK(a.place == erofs::placement::tar);
  CHECK(a.content == 512);
  CHECK(all.at(all.find(tree::root, "b")->inode).content == 512 + 1024 + 512 + 512);
  CHECK(all.at(all.find(tree::root, "empty")->inode).place == erofs::placement::nowhere);
}

TEST_CASE("of a subtree only what shows is taken, and names like whiteouts are names") {
  tree all;
  const auto tar = tar_builder().file("manifest").file("rootfs/a").file("rootfs/b/c").file("rootfs/.wh.a").text();
  REQUIRE(
      apply(all, 0, tar, mortise::archive::subtree{"rootfs", [](std::string_view path) { return path != "a"; }}).ok());
  CHECK(names(all) == ".wh.a b/ b/c");
  CHECK(
      !apply(all, 1, tar_builder().hard_link("rootfs/l", "manifest").text(), mortise::archive::subtree{"rootfs"}).ok());
}

TEST_CASE("a hard link is one more name, also of a lower layer's file") {
  tree all;
  REQUIRE(apply(all, 0, tar_builder().file("a", "x").text()).ok());
  REQUIRE(apply(all, 1, tar_builder().hard_link("d/b", "a").text()).ok());
  CHECK(all.at(all.find(tree::root, "a")->inode).links == 2);
  REQUIRE(apply(all, 2, tar_builder().file(".wh.a").text()).ok());
  CHECK(names(all) == "d/ d/b");
  CHECK(!apply(all, 3, tar_builder().hard_link("c", "d").text()).ok());
  CHECK(!apply(all, 3, tar_builder().hard_link("c", "c").text()).ok());
}

TEST_CASE("what apply refuses is refused") {
  tree all;
  for (const std::string& each :
       {tar_builder().file("a/../b").text(), tar_builder().file(".wh.").text(), tar_builder().file(".wh.x/y").text(),
        tar_builder().add({.name = "zero", .type = '3'}).text(), tar_builder().symlink("./", "x").text(),
        tar_builder().file("f").file("f/g").text(), tar_builder().file(std::string(300, 'n')).text()})
    CHECK(!apply(all, 0, each).ok());
  CHECK(apply(all, 0, tar_builder().file(".wh..wh.plnk/x").text()).ok());
}

TEST_CASE("merging ends when it is cancelled") {
  tree all;
  const mortise::archive::limits caps;
  const std::string tar = tar_builder().file("a").text();
  support::memory_reader bytes(tar, 1 << 20);
  const std::atomic<bool> stop = true;
  const std::optional<mortise::archive::subtree> only;
  CHECK(absl::IsCancelled(erofs::merger(all, 0, caps, only, &stop).run(bytes, tar.size()).status()));
}
