// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/index.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <archive/random_layers.hpp>
#include <archive/tar_builder.hpp>
#include <erofs/shown.hpp>
#include <rootfs/smallest_image.hpp>
#include <string>
#include <support/skip.hpp>
#include <vector>

using namespace mortise;
using support::tar_builder;

namespace {

bool cannot_compare() { return support::missing_root() || support::missing_erofs(); }

/// Both ways show the same, or both refuse.
void compare(const std::vector<std::string>& tars, bool with_links = true) {
  const auto unpacked = support::unpacked_text(tars, with_links);
  const auto indexed = support::indexed_text(tars, with_links);
  CHECK_MESSAGE(unpacked.ok() == indexed.ok(), message(unpacked.status()), " / ", message(indexed.status()));
  if (unpacked.ok() && indexed.ok()) CHECK(*unpacked == *indexed);
}

}  // namespace

TEST_CASE("an index shows what the layers show when they are unpacked and stacked, whatever they are") {
  if (cannot_compare()) return;
  unsigned refused = 0;
  std::vector<unsigned> seeds{3131, 45132, 71815, 100248};  // rare: a file that was linked to, then hidden
  for (unsigned seed = 0; seed < 1000; ++seed) seeds.push_back(seed);
  for (const unsigned seed : seeds) {
    CAPTURE(seed);
    const auto tars = support::random_layers(seed).make();
    // A hard link to a lower layer's file has one inode with it here, and is a copy there.
    const auto unpacked = support::unpacked_text(tars, false);
    const auto indexed = support::indexed_text(tars, false);
    refused += unpacked.ok() ? 0 : 1;
    // Of a hard link over its own way only unpacking makes a failure.
    const bool odd = indexed.ok() && message(unpacked.status()).find("link to") != std::string_view::npos;
    if (odd) continue;
    CHECK_MESSAGE(unpacked.ok() == indexed.ok(), message(unpacked.status()), " / ", message(indexed.status()));
    if (unpacked.ok() && indexed.ok()) CHECK(*unpacked == *indexed);
  }
  CHECK(refused > 50);
  CHECK(refused < 900);
}

TEST_CASE("an index keeps what tar can say of a file") {
  if (cannot_compare()) return;
  const std::string capability("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  const std::string acl(
      "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x06\0\xff\xff"
      "\xff\xff"
      "\x20\0\x04\0\xff\xff\xff\xff",
      44);
  tar_builder tar;
  tar.add({.name = "./", .type = '5', .mode = 0711, .uid = 5, .gid = 6, .xattrs = {{"user.root", "r"}}})
      .add({.name = "owned", .data = std::string(100'000, 'x'), .mode = 06755, .uid = 4'000'000'000, .gid = 70'000})
      .add({.name = "old", .pax = {{"mtime", "-86400.5"}}})
      .add({.name = "new", .pax = {{"mtime", "4294967296.987654321"}}})
      .add({.name = "capable", .data = "#!", .mode = 0755, .xattrs = {{"security.capability", capability}}})
      .add({.name = "shared", .data = "s", .mode = 0664, .xattrs = {{"system.posix_acl_access", acl}}})
      .add({.name = "noted", .xattrs = {{"user.a", std::string("a\0b", 3)}, {"user.empty", ""}, {"trusted.t", "t"}}})
      .add({.name = "noted-much",
            .xattrs = {{"user.big", std::string(3000, 'v')}, {"user.other", std::string(500, 'w')}}})
      .add({.name = "sticky/", .type = '5', .mode = 01777, .xattrs = {{"user.d", "d"}}})
      .add({.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3})
      .add({.name = "disk", .type = '4', .mode = 0660, .gid = 6, .major = 259, .minor = 70000})
      .add({.name = "pipe", .type = '6', .mode = 0640})
      .symlink("short", "owned")
      .symlink("long", std::string(400, 'l') + "/x")
      .symlink("longest", std::string(4095, 'm'))
      .hard_link("owned-too", "owned")
      .hard_link("sticky/owned-three", "owned")
      .hard_link("short-too", "short")
      .file(std::string(255, 'n'))
      .file(std::string(120, 'p') + "/" + std::string(120, 'q') + "/deep")
      .file("\xff\n odd", "odd")
      .file("empty");
  compare({tar.text()});
}

TEST_CASE("an index hides foreign overlay attributes, and what is this machine's own policy") {
  if (cannot_compare()) return;
  tar_builder tar;
  tar.add({.name = "d/", .type = '5', .xattrs = {{"trusted.overlay.opaque", "y"}, {"user.overlay.redirect", "/x"}}})
      .add({.name = "f", .xattrs = {{"trusted.overlay.metacopy", ""}, {"security.selinux", "x"}, {"user.kept", "k"}}});
  compare({tar.text()});
  const auto text = support::indexed_text({tar.text()});
  REQUIRE(text.ok());
  CHECK(text->find("overlay") == std::string::npos);
  CHECK(text->find("user.kept=k") != std::string::npos);
}

TEST_CASE("directories of any size are listed, and each name in them is found") {
  if (cannot_compare()) return;
  for (const unsigned count : {0U, 1U, 17U, 18U, 19U, 35U, 500U, 100'000U}) {
    CAPTURE(count);
    support::packed_stack layers;
    tar_builder tar;
    tar.directory("d");
    for (unsigned each = 0; each < count; ++each) tar.file("d/name-" + std::to_string(each * 7919U % 1'000'003U));
    layers.add(tar.text());
    const auto made = layers.write();
    REQUIRE(made.ok());
    CHECK(made->inodes == count + 2);
    const std::string root = layers.mount();
    unsigned listed = 0;
    REQUIRE(sys::for_each_entry(AT_FDCWD, root + "/d", [&](std::string_view, unsigned char kind) {
              listed += kind == DT_REG ? 1 : 0;
              return absl::OkStatus();
            }).ok());
    CHECK(listed == count);
    unsigned found = 0;
    struct stat about{};
    for (unsigned each = 0; each < count; ++each)
      found += ::stat((root + "/d/name-" + std::to_string(each * 7919U % 1'000'003U)).c_str(), &about) == 0 ? 1 : 0;
    CHECK(found == count);
    CHECK(::stat((root + "/d/name-1000004").c_str(), &about) != 0);
  }
}

TEST_CASE("five hundred layers become one tree") {
  if (cannot_compare()) return;
  support::packed_stack layers;
  for (int each = 0; each < 500; ++each) {
    tar_builder tar;
    tar.file("top", std::to_string(each)).file("all/" + std::to_string(each), std::to_string(each));
    if (each > 0) tar.file("all/.wh." + std::to_string(each - 1));
    layers.add(tar.text());
  }
  REQUIRE(layers.write().ok());
  const support::tree shown(layers.mount());
  CHECK(shown["top"] == "file 0644 0:0 '499'");
  CHECK(shown["all/499"] == "file 0644 0:0 '499'");
  CHECK(shown.paths().size() == 3);
}

TEST_CASE("sparse members keep their holes, in every form that tars have for them") {
  if (cannot_compare()) return;
  if (support::missing_program("tar") || support::missing_program("bsdtar")) return;
  const support::temporary_directory place;
  const std::string file = place / "sparse";
  const sys::unique_fd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  const auto put = [&](off_t at, const std::string& text) {
    CHECK(::pwrite(made.get(), text.data(), text.size(), at) == static_cast<ssize_t>(text.size()));
  };
  put(4096, std::string(5000, 'a'));
  put(1 << 20, "b");
  put(off_t{5} << 30, std::string(4096, 'c'));
  REQUIRE(::ftruncate(made.get(), (off_t{5} << 30) + 100'000) == 0);
  const sys::unique_fd hole(::open((place / "hole").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  REQUIRE(::ftruncate(hole.get(), 1 << 20) == 0);
  for (const std::string how :
       {"tar --format=gnu -S", "tar --format=pax -S", "tar --format=pax --sparse-version=0.0 -S",
        "tar --format=pax --sparse-version=0.1 -S", "bsdtar --format=pax --read-sparse"}) {
    CAPTURE(how);
    const std::string tar = place / "layer.tar";
    ::unlink(tar.c_str());
    const std::string command = how + " -cf " + tar + " -C " + place.path() + " sparse hole";
    if (std::system(command.c_str()) != 0) continue;  // an older bsdtar knows no such option
    support::packed_stack layers;
    layers.add_file(tar);
    const auto index = layers.write();
    REQUIRE_MESSAGE(index.ok(), message(index.status()));
    CHECK(index->flattened_bytes < 100'000);
    struct stat about{};
    REQUIRE(::fstat(layers.index(), &about) == 0);
    CHECK_MESSAGE(about.st_blocks * 512 < 1 << 20, "the index has the file's holes");
    const std::string root = layers.mount();
    REQUIRE(::stat((root + "/sparse").c_str(), &about) == 0);
    CHECK(about.st_size == (off_t{5} << 30) + 100'000);
    const auto shown = sys::open(root + "/sparse", O_RDONLY);
    REQUIRE(shown.ok());
    const auto at = [&](off_t position, std::size_t size) {
      std::string text(size, '?');
      CHECK(::pread(shown->get(), text.data(), size, position) == static_cast<ssize_t>(size));
      return text;
    };
    CHECK(at(0, 4096) == std::string(4096, '\0'));
    CHECK(at(4096, 5001) == std::string(5000, 'a') + '\0');
    CHECK(at((1 << 20) - 1, 3) == std::string("\0b\0", 3));
    CHECK(at((off_t{5} << 30) - 1, 4098) == '\0' + std::string(4096, 'c') + '\0');
    CHECK(at((off_t{5} << 30) + 99'990, 10) == std::string(10, '\0'));
    const auto empty = sys::read_file(root + "/hole", 2 << 20);
    REQUIRE(empty.ok());
    CHECK(*empty == std::string(1 << 20, '\0'));
  }
}

TEST_CASE("a file of any size is read out of its tar, and none of it is copied") {
  if (cannot_compare()) return;
  constexpr off_t size = (off_t{9} << 30) + 5;  // more than 32 bits have, and than a tar's octal digits
  const support::temporary_directory place;
  const std::string path = place / "layer.tar";
  const sys::unique_fd tar(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  tar_builder large;
  large.header({.name = "large", .size = static_cast<std::uint64_t>(size)});
  const auto begin = static_cast<off_t>(large.open_end().size());
  const off_t end = begin + (size + 511) / 512 * 512;
  const auto put = [&](off_t at, const std::string& text) {
    REQUIRE(::pwrite(tar.get(), text.data(), text.size(), at) == static_cast<ssize_t>(text.size()));
  };
  put(0, large.open_end());
  put(begin + (off_t{4} << 30) - 2, "across");
  put(begin + size - 4, "last");
  put(end, tar_builder().file("after", "after").text());
  support::packed_stack layers;
  layers.add_file(path);
  const auto index = layers.write();
  REQUIRE_MESSAGE(index.ok(), message(index.status()));
  CHECK(index->flattened_bytes == 0);
  const std::string root = layers.mount();
  struct stat about{};
  REQUIRE(::stat((root + "/large").c_str(), &about) == 0);
  CHECK(about.st_size == size);
  const auto shown = sys::open(root + "/large", O_RDONLY);
  REQUIRE(shown.ok());
  const auto at = [&](off_t position, std::size_t count) {
    std::string text(count, '?');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(::pread(shown->get(), text.data(), count, position), 0)));
    return text;
  };
  CHECK(at(0, 3) == std::string(3, '\0'));
  CHECK(at((off_t{4} << 30) - 3, 8) == std::string("\0across\0", 8));
  CHECK(at(size - 5, 10) == std::string("\0last", 5));
  CHECK(*sys::read_file(root + "/after") == "after");
}

TEST_CASE("an index is the same for the same layers, and says what went wrong with others") {
  tar_builder tar;
  tar.file("b", "b").file("a", "a").directory("d").file("d/.wh.x");
  support::packed_stack one;
  support::packed_stack two;
  for (support::packed_stack* each : {&one, &two}) {
    each->add(tar.text());
    REQUIRE(each->write().ok());
  }
  CHECK(*sys::read_file(one.path() + "/index") == *sys::read_file(two.path() + "/index"));

  const auto refusal = [](const std::string& bytes, const erofs::index_options& options = {}) {
    support::packed_stack layers;
    layers.add(tar_builder().file("fine").text());
    layers.add(bytes);
    return std::string(message(layers.write(options).status()));
  };
  CHECK(refusal(tar_builder().file("../x").text()) == "layer 2 of 2: index '../x': its name contains '..'");
  CHECK(refusal(tar_builder().file("a/.wh..").text()) ==
        "layer 2 of 2: index 'a/.wh..': it is a whiteout of a directory's own name");
  CHECK(refusal(tar_builder().hard_link("a", "nowhere").text()) ==
        "layer 2 of 2: index 'a': link to 'nowhere': neither this layer nor one below has it");
  CHECK(refusal(tar_builder().file("fine/x").symlink("l", "x").file("l/y").text()) ==
        "layer 2 of 2: index 'l/y': this layer has a symbolic link as its parent 'l'");
  CHECK(refusal(std::string(2000, 'x')).starts_with("layer 2 of 2: read tar: "));
  CHECK(refusal(tar_builder().add({.name = "cut", .data = "x", .size = 1 << 20}).text()) != "");
  erofs::index_options few;
  few.limits.entries = 10;
  tar_builder many;
  for (int each = 0; each < 20; ++each) many.file(std::to_string(each));
  CHECK(refusal(many.text(), few).find("more than the 10 entries allowed") != std::string::npos);
  std::atomic<bool> stop = true;
  CHECK(refusal(many.text(), {.cancelled = &stop}).find("cancelled") != std::string::npos);
}

TEST_CASE("erofs-utils find nothing wrong with an index, and take out of it what went in") {
  if (support::missing_root() || support::missing_program("fsck.erofs") || support::missing_program("dump.erofs"))
    return;
  tar_builder tar;
  tar.directory("./")
      .add({.name = "d/file", .data = std::string(10'000, 'f'), .mode = 0640, .uid = 3, .gid = 4})
      .hard_link("d/linked", "d/file")
      .symlink("l", "d/file")
      .symlink("long", std::string(600, 'l'))
      .add({.name = "noted", .data = "n", .xattrs = {{"user.a", "b"}, {"user.long", std::string(600, 'x')}}})
      .add({.name = "pipe", .type = '6'})
      .add({.name = "null", .type = '3', .major = 1, .minor = 3});
  for (int each = 0; each < 1000; ++each) tar.file("many/file-" + std::to_string(each), std::to_string(each));
  support::packed_stack layers;
  layers.add(tar.text());
  layers.add(tar_builder().file("many/.wh.file-7").file("top", "t").text());
  // Debian's know blocks of 4096 bytes only; so all data is in the image.
  const auto made = layers.write({.block_bits = 12});
  REQUIRE(made.ok());
  CHECK(made->inodes == 1000 + 9);
  const std::string index = layers.path() + "/index";
  const support::temporary_directory place;
  const std::string out = place / "out";
  CHECK(std::system(("dump.erofs -s " + index + " > " + out).c_str()) == 0);
  const std::string said = *sys::read_file(out);
  CHECK_MESSAGE(
      said.find("Filesystem inode count:                       " + std::to_string(made->inodes)) != std::string::npos,
      said);
  CHECK(std::system(("fsck.erofs --extract=" + place.path() + "/tree " + index + " > " + out + " 2>&1").c_str()) == 0);
  const support::tree extracted(place / "tree");
  CHECK(extracted["d/file"].starts_with("file 0640 3:4 10000 bytes"));
  CHECK(extracted["d/linked"] == extracted["d/file"]);
  CHECK(extracted["l"] == "link 0777 0:0 -> d/file");
  CHECK(extracted["long"] == "link 0777 0:0 -> " + std::string(600, 'l'));
  CHECK(extracted["pipe"] == "fifo 0644 0:0");
  CHECK(extracted["null"] == "char 0644 0:0 1:3");
  CHECK(extracted["many/file-999"] == "file 0644 0:0 '999'");
  CHECK(extracted["many/file-7"].empty());
  CHECK(extracted["top"] == "file 0644 0:0 't'");
}
