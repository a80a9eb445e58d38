// SPDX-License-Identifier: Apache-2.0
// What a sound layer becomes. Hostile ones are in apply_hostile_test.cpp, whiteouts in apply_whiteout_test.cpp.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <archive/layer_stack.hpp>
#include <archive/pack.hpp>
#include <archive/tar_builder.hpp>
#include <atomic>
#include <mortise/archive/decompress.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

using mortise::message;
using support::layer_stack;
using support::tar_builder;
using strings = std::vector<std::string>;

TEST_CASE("apply makes every type of entry with its attributes") {
  if (support::missing_root()) return;
  tar_builder tar;
  tar.add({.name = "./", .type = '5', .mode = 0711, .uid = 1, .gid = 2, .mtime = 5});
  tar.add({.name = "./file", .data = "text", .mode = 04751, .uid = 10, .gid = 20, .mtime = 1000});
  tar.add({.name = "./dir/", .mode = 01777, .uid = 30, .gid = 40, .mtime = 2000});
  tar.add({.name = "./dir/inside", .mode = 0, .mtime = 3000});
  tar.add({.name = "./soft", .link = "/no/where/../at all", .mode = 0777, .uid = 50, .gid = 60, .mtime = 4000});
  tar.add({.name = "./hard", .link = "file", .type = '1'});
  tar.add({.name = "./tty", .type = '3', .mode = 0620, .uid = 0, .gid = 5, .mtime = 6000, .major = 5, .minor = 1});
  tar.add({.name = "./disk", .type = '4', .mode = 0660, .major = 8, .minor = 70000});
  tar.add({.name = "./pipe", .type = '6', .mode = 0622, .uid = 7, .mtime = 7000});
  const support::leak_snapshot before("only descriptors, mounts and processes");
  {
    layer_stack stack;
    const auto result = stack.add(tar.text());
    REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
    CHECK(result->entries == 9);
    CHECK(result->bytes == 4);
    CHECK(result->root_entry);
    CHECK_FALSE(result->depends_on_lower);
    CHECK_FALSE(result->opaque_root);
    CHECK(stack.lower_asked() == 0);
    const support::tree tree = stack.top();
    CHECK(tree["."] == "dir 0711 1:2");
    CHECK(tree["file"] == "file 4751 10:20 'text'");
    CHECK(tree["dir"] == "dir 1777 30:40");
    CHECK(tree["dir/inside"] == "file 0000 0:0 ''");
    CHECK(tree["soft"] == "link 0777 50:60 -> /no/where/../at all");
    CHECK(tree["hard"] == tree["file"]);
    CHECK(tree.about("hard").st_ino == tree.about("file").st_ino);
    CHECK(tree.about("hard").st_nlink == 2);
    CHECK(tree["tty"] == "char 0620 0:5 5:1");
    CHECK(tree["disk"] == "block 0660 0:0 8:70000");
    CHECK(tree["pipe"] == "fifo 0622 7:0");
    CHECK(tree.paths().size() == 8);
    const std::pair<const char*, time_t> times[] = {{".", 5},       {"file", 1000}, {"dir", 2000}, {"dir/inside", 3000},
                                                    {"soft", 4000}, {"tty", 6000},  {"pipe", 7000}};
    for (const auto& [name, time] : times) CHECK_MESSAGE(tree.about(name).st_mtim.tv_sec == time, name);
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("apply gives directories their times and modes whatever the order of entries") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "a/", .mode = 0, .mtime = 100});
  tar.add({.name = "a/b/", .mode = 0111, .mtime = 200});
  tar.file("a/b/one").file("other").file("a/two").file("a/b/three").file("a/b/c/four");
  tar.add({.name = "a/b/c/", .mode = 0700, .mtime = 300});  // after what is in it
  tar.file("a/b/c/five").file("a/b/six").hard_link("a/b/seven", "other").symlink("a/eight", "x");
  REQUIRE(stack.add(tar.text()).ok());
  const support::tree tree = stack.top();
  CHECK(tree.about("a").st_mtim.tv_sec == 100);
  CHECK(tree["a"] == "dir 0000 0:0");
  CHECK(tree.about("a/b").st_mtim.tv_sec == 200);
  CHECK(tree["a/b"] == "dir 0111 0:0");
  CHECK(tree.about("a/b/c").st_mtim.tv_sec == 300);
  CHECK(tree["a/b/c"] == "dir 0700 0:0");
}

TEST_CASE("apply keeps nanoseconds and times before 1970, and lets the file system clamp the rest") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  tar_builder tar;
  tar.add({.name = "fine", .pax = {{"mtime", "1234567890.123456789"}, {"atime", "1000000000.5"}}});
  tar.add({.name = "old", .mtime = -100});
  tar.add({.name = "future", .pax = {{"mtime", "99999999999999999999"}}});
  REQUIRE(stack.add(tar.text()).ok());
  const support::tree tree = stack.top();
  CHECK(tree.about("fine").st_mtim.tv_sec == 1234567890);
  CHECK(tree.about("fine").st_mtim.tv_nsec == 123456789);
  CHECK(tree.about("fine").st_atim.tv_nsec == 500000000);
  CHECK(tree.about("old").st_mtim.tv_sec == -100);
  CHECK(tree.about("future").st_mtim.tv_sec > 4'000'000'000);
}

TEST_CASE("in one layer anything replaces anything, and the last one wins") {
  if (support::missing_root()) return;
  const auto put = [](tar_builder& tar, char what, const std::string& mark) {
    switch (what) {
      case 'f':
        tar.file("x", mark);
        break;
      case 's':
        tar.symlink("x", mark);
        break;
      case 'p':
        tar.add({.name = "x", .type = '6'});
        break;
      case 'c':
        tar.add({.name = "x", .type = '3', .major = 1, .minor = 3});
        break;
      case 'h':
        tar.hard_link("x", "other");
        break;
      default:
        tar.directory("x/").file("x/" + mark, mark);
        break;
    }
  };
  const std::string kinds = "fspchd";
  for (const char first : kinds) {
    for (const char second : kinds) {
      CAPTURE(first);
      CAPTURE(second);
      layer_stack stack;
      tar_builder tar;
      tar.file("other", "other");
      put(tar, first, "first");
      put(tar, second, "second");
      const auto result = stack.add(tar.text());
      REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
      const support::tree tree = stack.top();
      if (second == 'f') CHECK(tree["x"] == "file 0644 0:0 'second'");
      if (second == 's') CHECK(tree["x"] == "link 0777 0:0 -> second");
      if (second == 'p') CHECK(tree["x"] == "fifo 0644 0:0");
      if (second == 'c') CHECK(tree["x"] == "char 0644 0:0 1:3");
      if (second == 'h') CHECK(tree["x"] == "file 0644 0:0 'other'");
      CHECK(tree.about("other").st_nlink == (second == 'h' ? 2 : 1));
      CHECK(tree["other"] == "file 0644 0:0 'other'");
      if (second != 'd') continue;
      CHECK(tree["x/second"] == "file 0644 0:0 'second'");
      CHECK(tree["x/first"] == (first == 'd' ? "file 0644 0:0 'first'" : ""));
      // A directory that took the place of something else does not show the lower layers' directory again.
      CHECK(tree["x"] == (first == 'd' ? "dir 0755 0:0" : "dir 0755 0:0 trusted.overlay.opaque=y"));
    }
  }
}

TEST_CASE("a second entry for a directory replaces its attributes and keeps what is in it") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "d/", .mode = 0700, .uid = 1, .mtime = 1, .xattrs = {{"user.old", "1"}, {"user.both", "1"}}});
  tar.file("d/file");
  tar.add({.name = "d", .type = '5', .mode = 02755, .uid = 2, .mtime = 2, .xattrs = {{"user.both", "2"}}});
  REQUIRE(stack.add(tar.text()).ok());
  CHECK(stack.top()["d"] == "dir 2755 2:0 user.both=2");
  CHECK(stack.top().about("d").st_mtim.tv_sec == 2);
  CHECK(stack.top()["d/file"] != "");
}

TEST_CASE("a hard link's own attributes and data change nothing") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "file", .data = "text", .mode = 0640, .uid = 5, .mtime = 50});
  tar.add({.name = "link",
           .data = "other",
           .link = "./file",
           .type = '1',
           .mode = 04777,
           .uid = 9,
           .mtime = 90,
           .pax = {{"comment", "so the data is there"}}});
  tar.add({.name = "soft", .link = "file", .uid = 6});
  tar.hard_link("soft2", "/soft");
  tar.hard_link("link", "file");
  REQUIRE(stack.add(tar.text()).ok());
  const support::tree tree = stack.top();
  CHECK(tree["file"] == "file 0640 5:0 'text'");
  CHECK(tree["link"] == tree["file"]);
  CHECK(tree.about("file").st_nlink == 2);
  CHECK(tree.about("file").st_mtim.tv_sec == 50);
  CHECK(tree["soft2"] == "link 0777 6:0 -> file");
  CHECK(tree.about("soft2").st_ino == tree.about("soft").st_ino);
}

TEST_CASE("extended attributes are kept, but not those that are the host's") {
  if (support::missing_root()) return;
  const std::string capability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "d/",
           .xattrs = {{"user.note", "on a directory"}, {"trusted.mine", "t"}, {"trusted.overlay.opaque", "y"}}});
  tar.add({.name = "d/ping",
           .data = "elf",
           .mode = 04755,
           .uid = 3,
           .xattrs = {{"security.capability", capability},
                      {"security.selinux", "system_u:object_r:bin_t"},
                      {"security.ima", "i"},
                      {"security.evm", "e"},
                      {"system.nfs4_acl", "n"},
                      {"trusted.overlay.redirect", "/etc/shadow"},
                      {"trusted.overlay.metacopy", ""},
                      {"user.overlay.opaque", "y"},
                      {"user.note", "kept"}}});
  tar.add({.name = "d/soft", .link = "x", .xattrs = {{"user.note", "impossible"}, {"trusted.mine", "t"}}});
  tar.add({.name = "d/pipe", .type = '6', .xattrs = {{"user.note", "impossible"}}});
  const auto result = stack.add(tar.text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK(result->skipped_xattrs == 2);
  const support::tree tree = stack.top();
  CHECK(tree["d"] == "dir 0644 0:0 trusted.mine=t user.note=on a directory");
  CHECK(tree["d/ping"] ==
        "file 4755 3:0 'elf' security.capability=" + mortise::printable(capability) + " user.note=kept");
  CHECK(tree["d/soft"] == "link 0777 0:0 -> x trusted.mine=t");
  CHECK(tree["d/pipe"] == "fifo 0644 0:0");
}

TEST_CASE("a file system without some attributes does without them, and it is counted") {
  if (support::missing_root()) return;
  const support::temporary_tmpfs place(4 << 20);
  layer_stack stack(place.path());
  tar_builder tar;
  tar.add({.name = "d/", .xattrs = {{"strange.attribute", "x"}}});
  tar.add({.name = "f", .xattrs = {{"system.posix_acl_default", "x"}, {"nonsense", "x"}}});
  const auto result = stack.add(tar.text());
  REQUIRE_MESSAGE(!result.ok(), "a default ACL on a file is refused by the kernel");
  layer_stack other(place / "other");
  REQUIRE(::mkdir((place / "other").c_str(), 0755) == 0);
  const auto second = other.add(tar_builder().add({.name = "d/", .xattrs = {{"strange.attribute", "x"}}}).text());
  REQUIRE_MESSAGE(second.ok(), std::string(message(second.status())));
  CHECK(second->skipped_xattrs == 1);
}

TEST_CASE("a directory's default ACL is kept, and not inherited by what the layer puts into it") {
  if (support::missing_root()) return;
  // acl(5) as Linux stores it: version 2, then tag, permissions and id of each entry.
  std::string acl("\x02\0\0\0", 4);
  for (const auto& [tag, permissions] : {std::pair{1, 7}, {4, 5}, {0x20, 0}})
    acl += std::string{static_cast<char>(tag), 0, static_cast<char>(permissions), 0, '\xff', '\xff', '\xff', '\xff'};
  acl.insert(4 + 8, std::string("\x02\0\x07\0\xe8\x03\0\0", 8));               // user 1000: rwx
  acl.insert(acl.size() - 8, std::string("\x10\0\x07\0\xff\xff\xff\xff", 8));  // mask
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "d/", .mode = 0755, .mtime = 9, .xattrs = {{"system.posix_acl_default", acl}}});
  tar.file("d/one").file("elsewhere").file("d/two").directory("d/sub/");
  REQUIRE(stack.add(tar.text()).ok());
  const support::tree tree = stack.top();
  CHECK(tree["d"] == "dir 0755 0:0 system.posix_acl_default=" + mortise::printable(acl));
  CHECK(tree["d/one"] == "file 0644 0:0 ''");
  CHECK(tree["d/two"] == "file 0644 0:0 ''");
  CHECK(tree["d/sub"] == "dir 0755 0:0");
  CHECK(tree.about("d").st_mtim.tv_sec == 9);
}

TEST_CASE("parents that the tar only implies take their attributes from the lower layers") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder bottom;
  bottom.add({.name = "a/", .mode = 01770, .uid = 1, .gid = 2, .mtime = 11, .xattrs = {{"user.note", "a"}}});
  bottom.add({.name = "a/b/", .mode = 0700, .uid = 3, .mtime = 22});
  REQUIRE(stack.add(bottom.text()).ok());
  tar_builder middle;
  middle.add({.name = "a/", .mode = 0711, .uid = 4, .mtime = 33});
  REQUIRE(stack.add(middle.text()).ok());
  const auto result = stack.add(tar_builder().file("a/b/c/file").file("a/b/other").text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK(result->depends_on_lower);
  CHECK_FALSE(result->root_entry);
  CHECK(stack.lower_asked() == 1);
  const support::tree tree = stack.top();
  CHECK(tree["."] == "dir 0755 0:0");
  CHECK(tree["a"] == "dir 0711 4:0");  // of the topmost layer that has it
  CHECK(tree.about("a").st_mtim.tv_sec == 33);
  CHECK(tree["a/b"] == "dir 0700 3:0");
  CHECK(tree.about("a/b").st_mtim.tv_sec == 22);
  CHECK(tree["a/b/c"] == "dir 0755 0:0");  // nobody has it

  const auto third = stack.add(tar_builder().file("a/another").text());
  REQUIRE(third.ok());
  CHECK(stack.layer(3)["a"] == "dir 0711 4:0");
}

TEST_CASE("a bottom layer with implied parents depends on there being nothing below") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  const auto result = stack.add(tar_builder().file("a/b/c").text());
  REQUIRE(result.ok());
  CHECK(result->depends_on_lower);
  CHECK(stack.top()["a/b"].starts_with("dir 0755"));
}

TEST_CASE("an implied parent that the tar names later gets what the tar says") {
  if (support::missing_root()) return;
  layer_stack stack;
  REQUIRE(stack.add(tar_builder().add({.name = "a/", .uid = 7, .xattrs = {{"user.lower", "1"}}}).text()).ok());
  REQUIRE(stack.add(tar_builder().file("a/file").add({.name = "a/", .mode = 0750, .uid = 8, .mtime = 88}).text()).ok());
  CHECK(stack.top()["a"] == "dir 0750 8:0");
  CHECK(stack.top().about("a").st_mtim.tv_sec == 88);
}

TEST_CASE("a hard link to a file of a lower layer brings that file up") {
  if (support::missing_root()) return;
  layer_stack stack;
  const std::string large = support::sample_text(700'000);
  tar_builder bottom;
  bottom.add({.name = "d/", .mode = 0710, .uid = 9, .mtime = 99});
  bottom.add({.name = "d/file", .data = large, .mode = 04711, .uid = 5, .mtime = 55, .xattrs = {{"user.note", "n"}}});
  bottom.add({.name = "d/soft", .link = "target", .uid = 6, .mtime = 66});
  bottom.add({.name = "d/pipe", .type = '6', .mode = 0600});
  REQUIRE(stack.add(bottom.text()).ok());
  tar_builder upper;
  upper.hard_link("one", "d/file").hard_link("two", "d/file").hard_link("d/three", "one");
  upper.hard_link("soft", "d/soft").hard_link("pipe", "d/pipe");
  const auto result = stack.add(upper.text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK(result->depends_on_lower);
  CHECK(result->bytes == large.size());
  const support::tree tree = stack.top();
  CHECK(tree["one"] == stack.layer(0)["d/file"]);
  CHECK(tree.about("one").st_nlink == 4);
  CHECK(tree.about("d/file").st_ino == tree.about("d/three").st_ino);
  CHECK(tree.about("one").st_mtim.tv_sec == 55);
  CHECK(tree["d"] == "dir 0710 9:0");
  CHECK(tree.about("d").st_mtim.tv_sec == 99);
  CHECK(tree["soft"] == "link 0777 6:0 -> target");
  CHECK(tree["pipe"] == "fifo 0600 0:0");
  CHECK(stack.merged().about("two").st_nlink == 4);
}

TEST_CASE("sparse files keep their holes") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  tar_builder tar;
  std::string map = "2\n1048576\n4\n10485760\n0\n";
  map.resize(512);
  tar.add({.name = "GNUSparseFile.0/x",
           .data = map + "data",
           .pax = {{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "x"},
                   {"GNU.sparse.realsize", "10485760"}}});
  const auto result = stack.add(tar.text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK(stack.top().paths() == strings{"x"});
  const struct stat about = stack.top().about("x");
  CHECK(about.st_size == 10485760);
  CHECK(about.st_blocks * 512 < 100'000);
  CHECK(result->bytes == 4);
}

TEST_CASE("names that are not UTF-8 are kept byte by byte") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  const std::string latin = "caf\xe9", decomposed = "cafe\xcc\x81", composed = "caf\xc3\xa9";
  tar_builder tar;
  for (const std::string& name : {latin, decomposed, composed})
    tar.add({.name = "x", .type = '0', .pax = {{"path", name}}}).hard_link(name + "-link", name);
  REQUIRE(stack.add(tar.text()).ok());
  CHECK(stack.top().paths().size() == 6);
  CHECK(stack.top().about(latin).st_nlink == 2);
}

TEST_CASE("without privileges everything is the caller's, and devices are left out") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  tar_builder tar;
  tar.add({.name = "d/", .mode = 0555, .uid = 0, .xattrs = {{"user.note", "n"}, {"trusted.mine", "t"}}});
  tar.add({.name = "d/file",
           .data = "text",
           .mode = 04755,
           .uid = 1234,
           .gid = 5,
           .mtime = 10,
           .xattrs = {{"security.capability", "x"}, {"user.note", "f"}}});
  tar.add({.name = "d/locked/", .mode = 0, .mtime = 20});
  tar.file("d/locked/in/side");  // below what its owner may not enter
  tar.add({.name = "tty", .type = '3', .major = 5, .minor = 1}).add({.name = "disk", .type = '4', .major = 8});
  tar.file("d/.wh.gone").file("op/.wh..wh..opq").add({.name = "pipe", .type = '6'});
  tar.hard_link("link", "d/file").file("d/locked/more");
  const auto outcome = support::in_child({.uid = support::nobody}, [&]() -> std::string {
    layer_stack<mortise::model::unprivileged_overlay_layers> stack(place.path());
    const auto result = stack.add(tar.text());
    if (!result.ok()) return std::string(message(result.status()));
    return mortise::concat(result->skipped_devices, " devices, ", result->skipped_xattrs, " attributes");
  });
  CHECK(outcome.text == "2 devices, 2 attributes");
  const support::tree tree(place / "layer0");
  CHECK(tree["d"] == "dir 0555 65534:65534 user.note=n");
  CHECK(tree["d/file"] == "file 4755 65534:65534 'text' user.note=f");
  CHECK(tree["d/locked"] == "dir 0000 65534:65534");
  CHECK(tree.about("d/locked").st_mtim.tv_sec == 20);
  CHECK(tree["d/locked/in/side"] != "");
  CHECK(tree["d/locked/more"] != "");
  CHECK(tree["d/gone"] == "whiteout");
  CHECK(tree["op"] == "dir 0755 65534:65534 user.overlay.opaque=y");
  CHECK(tree["tty"] == "");
  CHECK(tree["pipe"] == "fifo 0644 65534:65534");
  CHECK(tree.about("link").st_nlink == 2);
}

TEST_CASE("a layer that needs root says so when there is none") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  const auto outcome = support::in_child({.uid = support::nobody}, [&]() -> std::string {
    layer_stack stack(place.path());
    return std::string(message(stack.add(tar_builder().file("etc/passwd").text()).status()));
  });
  CHECK(outcome.text ==
        "unpack 'etc/passwd': make its parent 'etc': change owner to 0:0: Operation not permitted "
        "(needs root; without it unpack in the form model::unprivileged_overlay_layers)");
}

TEST_CASE("owners that a user namespace does not map are named") {
  if (support::missing_root() || support::missing_user_namespaces() || support::always_threaded()) return;
  const support::temporary_directory place;
  const auto outcome = support::in_child({.namespaces = CLONE_NEWUSER}, [&]() -> std::string {
    layer_stack stack(place.path());
    return std::string(message(stack.add(tar_builder().add({.name = "f", .uid = 1000}).text()).status()));
  });
  CHECK(outcome.text == "unpack 'f': change owner to 1000:0: Invalid argument (this user namespace does not map them)");
}

TEST_CASE("progress is heard, and the last of it is all") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  tar_builder tar;
  for (int at = 0; at < 1000; ++at) tar.file(std::to_string(at), "1234");
  tar.file("large", std::string(9 << 20, 'x'));
  int calls = 0;
  std::uint64_t last_entries = 0, last_bytes = 0;
  const auto result = stack.add(tar.text(), {.progress = [&](std::uint64_t entries, std::uint64_t bytes) {
                                  CHECK(entries >= last_entries);
                                  CHECK(bytes >= last_bytes);
                                  last_entries = entries;
                                  last_bytes = bytes;
                                  ++calls;
                                }});
  REQUIRE(result.ok());
  CHECK(last_entries == 1001);
  CHECK(last_bytes == 4000 + (9 << 20));
  CHECK(calls >= 5);
}

TEST_CASE("it can be cancelled in the middle of a file, and has a deadline") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  const std::string tar = tar_builder().file("large", std::string(16 << 20, 'x')).file("never").text();
  std::atomic<bool> cancelled = false;
  mortise::archive::apply_request request;
  request.cancelled = &cancelled;
  request.progress = [&](std::uint64_t, std::uint64_t bytes) { cancelled = bytes > 5 << 20; };
  const absl::Status status = stack.add(tar, request).status();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(message(status) == "unpack 'large': cancelled");
  CHECK(stack.top()["never"] == "");

  const absl::Status late = stack.add(tar, {.deadline = std::chrono::steady_clock::now()}).status();
  CHECK(late.code() == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("it can be cancelled while it passes over what nobody wants, too") {
  std::atomic<bool> cancelled = false;
  /// Cancels after a while; a reader is where a caller notices first.
  class cancelling final : public mortise::reader {
   public:
    cancelling(mortise::reader& source, std::atomic<bool>& flag) : source_(source), flag_(flag) {}
    absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
      flag_ = ++reads_ == 20;
      return source_.read(into);
    }

   private:
    mortise::reader& source_;
    std::atomic<bool>& flag_;
    int reads_ = 0;
  };
  // Padding behind the end, and the data of a hard link: neither is written anywhere.
  const std::string large(32 << 20, '\0');
  tar_builder link;
  link.file("x").add({.name = "y", .data = large, .link = "x", .type = '1', .pax = {{"comment", "has data"}}});
  for (const std::string& tar : {tar_builder().file("x").text() + large, link.text()}) {
    support::memory_reader source(tar);
    cancelling stream(source, cancelled);
    layer_stack<mortise::model::unprivileged_overlay_layers> stack;
    const absl::Status status = stack.add(stream, {.cancelled = &cancelled}).status();
    CHECK(message(status) == "unpack layer: cancelled");
    CHECK(status.code() == absl::StatusCode::kCancelled);
  }
}

TEST_CASE("layers are unpacked by several threads at once") {
  const support::temporary_directory place;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int which = 0; which < 4; ++which) {
    const std::string directory = place / std::to_string(which);
    REQUIRE(::mkdir(directory.c_str(), 0755) == 0);
    threads.emplace_back([&good, directory] {
      layer_stack<mortise::model::unprivileged_overlay_layers> stack(directory);
      tar_builder tar;
      for (int at = 0; at < 500; ++at)
        tar.add({.name = "x", .data = "text", .pax = {{"path", "caf\xc3\xa9/" + std::to_string(at)}}});
      if (stack.add(tar.text()).ok() && stack.top().paths().size() == 501) ++good;
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(good == 4);
}

TEST_CASE("apply reads the stream to its end, so that both digests have been verified when it succeeds") {
  using verifying = mortise::digest::verifying_reader<mortise::digest::openssl>;
  // Padding behind the end of the archive, as GNU tar writes it, and something after that.
  const std::string tar = tar_builder().file("file", "text").text() + std::string(9000, '\0') + "trailer";
  const std::string blob = support::gzip(tar);
  for (const std::string& expected : {tar, tar + "!"}) {
    support::memory_reader source(blob);
    verifying packed(source, mortise::digest::of(blob), blob.size(), "blob");
    auto stream = mortise::archive::decompress(packed);
    REQUIRE(stream.ok());
    verifying plain(**stream, mortise::digest::of(expected), std::nullopt, "layer");
    layer_stack<mortise::model::unprivileged_overlay_layers> stack;
    const auto result = stack.add(plain);
    CHECK(result.ok() == (expected == tar));
    if (!result.ok()) CHECK(result.status().code() == absl::StatusCode::kDataLoss);
  }
}
