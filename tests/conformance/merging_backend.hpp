// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What holds for every rootfs backend that merges layers into a writable root, besides rootfs_backend.hpp:
/// `TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, mortise::rootfs::overlay, ...);`

#include <algorithm>
#include <conformance/rootfs_backend.hpp>
#include <conformance/scene.hpp>
#include <string>
#include <vector>

namespace conformance {

template <class Backend>
void lets_the_later_layer_win(scene<Backend>& s) {
  s.layer(
      {file("a", "1"), file("d/b", "1"), file("d/e/c", "1"), directory("attributes", 0755).with_xattr("user.x", "1")});
  s.layer({file("a", "2", 0600), file("d/e/x", "2"), directory("attributes", 0700).with_xattr("user.y", "2")});
  s.layer({file("d/b", "3"), file("new", "3")});
  s.expect_tree({"a: 2", "d/", "d/b: 3", "d/e/", "d/e/c: 1", "d/e/x: 2", "attributes/", "new: 3"});
  const auto seen = s.enter(s.provision(s.new_box()), [] {
    return attributes_of("/a") + attributes_of("/attributes") + xattr_of("/attributes", "user.x") + ' ' +
           xattr_of("/attributes", "user.y");
  });
  s.expect_same(seen.text,
                "/a: 0600 1 0:0 1000000000.123456789\n/attributes: 0700 0 0:0 1000000000.123456789\n"
                "No data available 2",
                "the upper one's attributes");
}

template <class Backend>
void replaces_anything_by_anything(scene<Backend>& s) {
  s.layer({file("file-to-directory", "1"), file("directory-to-file/x", "1"), file("directory-to-link/x", "1"),
           symlink("link-to-directory", "target"), symlink("link-to-file", "target"), file("file-to-link", "1"),
           file("target", "kept"), file("file-to-fifo", "1"), fifo("fifo-to-file"), file("there-and-back/low", "1")});
  s.layer({file("file-to-directory/x", "2"), file("directory-to-file", "2"), symlink("directory-to-link", "target"),
           file("link-to-directory/x", "2"), file("link-to-file", "2"), symlink("file-to-link", "target"),
           fifo("file-to-fifo"), file("fifo-to-file", "2"), file("there-and-back", "2")});
  s.layer({file("there-and-back/high", "3")});
  s.expect_tree({"file-to-directory/", "file-to-directory/x: 2", "directory-to-file: 2", "directory-to-link -> target",
                 "link-to-directory/", "link-to-directory/x: 2", "link-to-file: 2", "file-to-link -> target",
                 "target: kept", "file-to-fifo|", "fifo-to-file: 2", "there-and-back/", "there-and-back/high: 3"});
}

template <class Backend>
void hides_behind_whiteouts(scene<Backend>& s) {
  s.layer({file("gone", "1"), file("gone-directory/x/y", "1"), file("d/gone", "1"), file("d/kept", "1"),
           file("comes-back", "1"), file("comes-back-a-directory", "1"), file("emptied/x", "1"),
           symlink("gone-link", "d"), hard_link("linked", "d/kept")});
  s.layer({whiteout("gone"), whiteout("gone-directory"), whiteout("d/gone"), whiteout("comes-back"),
           whiteout("comes-back-a-directory"), whiteout("emptied/x"), whiteout("gone-link"), whiteout("linked"),
           whiteout("never-was"), whiteout("nor/was/this")});
  s.layer({file("comes-back", "3"), file("comes-back-a-directory/x", "3"), file("gone-directory/new", "3")});
  s.expect_tree({"d/", "d/kept: 1", "comes-back: 3", "comes-back-a-directory/", "comes-back-a-directory/x: 3",
                 "emptied/", "nor/", "nor/was/", "gone-directory/", "gone-directory/new: 3"});
}

template <class Backend>
void hides_behind_opaque_directories(scene<Backend>& s) {
  s.layer({file("top/low", "1"), file("a/b/low", "1"), file("a/kept", "1"), file("middle/low", "1"),
           file("was-a-file", "1"), opaque("lowest"), file("lowest/x", "1")});
  s.layer({opaque("middle"), file("middle/mid", "2"), file("top/mid", "2"), file("lowest/y", "2")});
  s.layer({opaque("top"), file("top/high", "3"), opaque("a/b"), file("middle/high", "3"), opaque("was-a-file"),
           opaque("never-was"), file("never-was/x", "3")});
  s.expect_tree({"top/", "top/high: 3", "a/", "a/b/", "a/kept: 1", "middle/", "middle/mid: 2", "middle/high: 3",
                 "was-a-file/", "lowest/", "lowest/x: 1", "lowest/y: 2", "never-was/", "never-was/x: 3"});
  const auto seen = s.enter(s.provision(s.new_box()), [] { return xattr_names("/top") + xattr_names("/a/b"); });
  s.expect(seen.ok() && seen.text.find("overlay") == std::string::npos, "no overlay attribute shows: " + seen.text);
}

template <class Backend>
void hides_behind_an_opaque_root(scene<Backend>& s) {
  s.layer({file("low", "1"), file("d/low", "1")});
  s.layer({opaque("."), file("d/middle", "2")});
  s.layer({file("high", "3")});
  s.expect_tree({"d/", "d/middle: 2", "high: 3"});
}

template <class Backend>
void takes_a_layer_twice(scene<Backend>& s) {
  s.layer({file("a", "1"), file("b", "1")});
  s.layer({file("a", "2"), whiteout("b"), file("c", "2")});
  s.repeat_layer(0);
  s.expect_tree({"a: 1", "b: 1", "c: 2"});
}

template <class Backend>
void keeps_two_containers_apart(scene<Backend>& s) {
  s.layer({file("a", "1"), file("d/x", "1")});
  s.layer({file("b", "2")});
  if (s.is_read_only()) return;
  const auto first = s.provision(s.new_box());
  const auto second = s.provision(s.new_box());
  const auto wrote = s.enter(first, [] {
    write_file("/a", "mine");
    write_file("/c", "mine");
    check(::unlink("/b") == 0 && ::unlink("/d/x") == 0 && ::rmdir("/d") == 0, "remove");
    return tree_text("/");
  });
  s.expect_same(wrote.text, "a: mine\nc: mine\n", "the first");
  s.expect_same(s.enter(second, [] { return tree_text("/"); }).text, "a: 1\nb: 2\nd/\nd/x: 1\n", "the second");
}

template <class Backend>
void moves_across_layers(scene<Backend>& s) {
  s.layer({file("low/file", "1"), symlink("low/link", "file"), file("linked", "l"), hard_link("low/linked", "linked")});
  s.layer({file("high/file", "2")});
  if (s.is_read_only()) return;
  const auto moved = s.enter(s.provision(s.new_box()), [] {
    check(::rename("/low/file", "/high/from-low") == 0 && ::rename("/high/file", "/low/file") == 0, "move files");
    check(::rename("/low/link", "/high/link") == 0 && ::rename("/linked", "/high/linked") == 0, "move links");
    check(::link("/low/file", "/hard") == 0 && ::mkdir("/new", 0755) == 0, "make");
    check(::rename("/new", "/high/new") == 0, "move directory");
    return tree_text("/");
  });
  s.expect_same(moved.text,
                text_of({"high/", "high/from-low: 1", "high/link -> file", "high/linked: l", "high/new/", "hard: 2",
                         "low/", "low/file: 2", "low/linked: l"}),
                "the tree");
}

/// A directory of the image moves with all it holds, or not at all, and says so as one that crosses file systems does
/// (then mv(1) copies it). One that the container has made always moves.
template <class Backend>
void moves_directories(scene<Backend>& s) {
  s.layer({file("low/deep/file", "1"), file("low/gone", "1")});
  s.layer({file("low/high", "2"), whiteout("low/gone")});
  if (s.is_read_only()) return;
  const auto moved = s.enter(s.provision(s.new_box()), [] {
    const bool crosses = ::rename("/low", "/moved") != 0 && errno == EXDEV;
    check(::mkdir("/made", 0755) == 0, "make a directory");
    write_file("/made/file", "3");
    check(::rename("/made", "/made-and-moved") == 0, "move it");
    return (crosses ? "low\n" : "moved\n") + tree_text("/");
  });
  const std::string where = moved.text.substr(0, moved.text.find('\n'));
  s.expect(where == "low" || where == "moved", "it moves, or is EXDEV");
  s.expect_same(moved.text.substr(std::min(moved.text.size(), where.size() + 1)),
                text_of({where + '/', where + "/deep/", where + "/deep/file: 1", where + "/high: 2", "made-and-moved/",
                         "made-and-moved/file: 3"}),
                "the tree");
}

/// Names of one file are one file where the layer is that has them.
template <class Backend>
void counts_links(scene<Backend>& s) {
  s.layer({file("a", "1"), hard_link("b", "a"), hard_link("d/c", "a")});
  s.layer({whiteout("b"), file("new", "2"), hard_link("d/newer", "new")});
  const auto seen = s.enter(s.provision(s.new_box()), [] {
    struct stat one{}, other{};
    check(::stat("/new", &one) == 0 && ::stat("/d/newer", &other) == 0, "stat");
    return one.st_nlink == 2 && other.st_nlink == 2 && one.st_ino == other.st_ino;
  });
  s.expect(seen.ok(), "two names of one file in the upper layer");
  s.expect_tree({"a: 1", "d/", "d/c: 1", "d/newer: 2", "new: 2"});
}

/// A container that reaches its bound sees its disk full, and no other one does.
template <class Backend>
void bounds_what_is_written(scene<Backend>& s) {
  if constexpr (mortise::rootfs::limits_writes<Backend>) {
    s.layer({directory(".", 0751), file("a", "1"), file("d/b", std::string(100'000, 'b'))});
    s.bound({1 << 20});
    const std::string box = s.new_box();
    mortise::model::plan plan;
    const auto made = s.try_provision(box, plan);
    // Some need project quotas for it: rootfs/project_bound_test.cpp.
    if (mortise::message(made.status()).find("needs project quotas") != std::string_view::npos) return s.destroy(box);
    check(made.ok(), "provision");
    const auto seen = s.enter(plan, [] {
      write_file("/small", std::string(300'000, 's'));
      check(::chmod("/d/b", 0600) == 0, "change a file of the image");
      const int fd = ::open("/large", O_WRONLY | O_CREAT, 0600);
      const std::string piece(1 << 16, 'l');
      ssize_t put = 0;
      while ((put = ::write(fd, piece.data(), piece.size())) > 0) continue;
      std::string out = attributes_of("/").substr(0, 14);
      out += put < 0 ? std::strerror(errno) : "endless";
      check(::close(fd) == 0 && ::unlink("/large") == 0, "remove /large");
      write_file("/after", std::string(200'000, 'a'));
      return out + (::access("/after", R_OK) == 0 ? " and goes on" : "");
    });
    s.expect_same(seen.text, "/: 0751 0 0:0 No space left on device and goes on", "what a full disk says");
    s.destroy(box);
    s.bound({});
    s.expect_tree({"a: 1", "d/", "d/b: " + std::string(100'000, 'b')});
  }
}

/// Layers enough, with paths long enough, to go past a page of mount options, and as many as the kernel stacks.
template <class Backend>
void stacks_many_layers(scene<Backend>& s) {
  std::vector<std::string> lines = {"top: "};
  s.use_long_paths(200);
  for (int number = 0; number < 500; ++number) {
    const std::string text = std::to_string(number);
    s.layer({file("top", text), file("all/" + text, text), number > 0 ? whiteout("only-below") : file("only-below")});
    lines.front() = "top: " + text;
    lines.push_back("all/" + text + ": " + text);
    if (number == 0) lines.insert(lines.end(), {"all/", "only-below: "});
    if (number == 1) lines.erase(std::find(lines.begin(), lines.end(), "only-below: "));
    if (number == 0 || number == 1 || number == 19 || number == 127 || number == 499) s.expect_tree(lines);
  }
}

TEST_CASE_TEMPLATE_DEFINE("merging rootfs backend", Backend, merging_backend_suite) {
  SUBCASE("lets the later layer win") { play<Backend>(lets_the_later_layer_win); }
  SUBCASE("replaces anything by anything") { play<Backend>(replaces_anything_by_anything); }
  SUBCASE("hides behind whiteouts") { play<Backend>(hides_behind_whiteouts); }
  SUBCASE("hides behind opaque directories") { play<Backend>(hides_behind_opaque_directories); }
  SUBCASE("hides behind an opaque root") { play<Backend>(hides_behind_an_opaque_root); }
  SUBCASE("takes a layer twice") { play<Backend>(takes_a_layer_twice); }
  SUBCASE("keeps two containers apart") { play<Backend>(keeps_two_containers_apart); }
  SUBCASE("moves across layers") { play<Backend>(moves_across_layers); }
  SUBCASE("moves directories") { play<Backend>(moves_directories); }
  SUBCASE("counts links") { play<Backend>(counts_links); }
  SUBCASE("bounds what is written") { play<Backend>(bounds_what_is_written); }
  SUBCASE("stacks many layers") { play<Backend>(stacks_many_layers); }
}

}  // namespace conformance
