// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/tar_index.hpp>

#include <doctest/doctest.h>

#include <archive/tar_builder.hpp>
#include <cstdlib>
#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::section_reader;
using mortise::image::tar_index;

namespace {

/// An archive on disk and its index.
struct indexed {
  explicit indexed(const std::string& tar) {
    support::write_file(place / "tar", tar);
    index = tar_index::build(mortise::image::open_file(AT_FDCWD, place / "tar").value());
  }
  std::string operator[](const std::string& name) const {
    const auto found = index->find(name);
    if (!found.ok()) return std::string(message(found.status()));
    section_reader reader(*found);
    return support::read_whole(reader).value();
  }
  support::temporary_directory place;
  absl::StatusOr<tar_index> index = absl::UnknownError("");
};

std::string refusal(const std::string& tar) { return std::string(message(indexed(tar).index.status())); }

}  // namespace

TEST_CASE("tar_index: members are found by name, however they are spelt") {
  support::tar_builder tar;
  tar.directory("d/").file("./d/one", "1").file("two", std::string(1000, '2')).file("two", "later");
  tar.add({.name = "old", .data = "v7", .magic = support::tar_magic::v7});
  tar.add({.name = "gnu", .data = "gnu", .magic = support::tar_magic::gnu});
  const indexed archive(tar.text());
  REQUIRE(archive.index.ok());
  CHECK(archive["d/one"] == "1");
  CHECK(archive["./d//one"] == "1");
  CHECK(archive["two"] == "later");
  CHECK(archive["old"] == "v7");
  CHECK(archive["gnu"] == "gnu");
  CHECK(archive["three"] == "find 'three' in the archive: there is no such member");
  CHECK_FALSE(archive.index->find("d").ok());
}

TEST_CASE("tar_index: long names come as pax records, GNU headers or ustar prefixes") {
  const std::string name = std::string(90, 'a') + '/' + std::string(90, 'b');
  support::tar_builder tar;
  tar.add({.name = name, .data = "pax"});
  tar.gnu_long('L', name + "-gnu").add({.name = "short", .data = "gnu", .magic = support::tar_magic::gnu});
  const indexed archive(tar.text());
  REQUIRE(archive.index.ok());
  CHECK(archive[name] == "pax");
  CHECK(archive[name + "-gnu"] == "gnu");
  CHECK_FALSE(archive.index->find("short").ok());
}

TEST_CASE("tar_index: what tar(1) writes is read, in each of its formats") {
  if (support::missing_program("tar")) return;
  const support::temporary_directory place;
  const std::string deep = place / ("x/" + std::string(90, 'd'));
  REQUIRE(mortise::sys::make_directories(deep).ok());
  support::write_file(deep + "/file", "content");
  for (const char* const format : {"gnu", "pax", "ustar", "oldgnu"}) {
    CAPTURE(format);
    REQUIRE(std::system(
                ("tar -C " + (place / "x") + " --format " + format + " -cf " + (place / "a.tar") + " .").c_str()) == 0);
    const auto index = tar_index::build(mortise::image::open_file(AT_FDCWD, place / "a.tar").value());
    REQUIRE(index.ok());
    CHECK(index->find(std::string(90, 'd') + "/file").ok());
  }
}

TEST_CASE("tar_index: links are followed within the archive only") {
  support::tar_builder tar;
  tar.file("a/layer.tar", "content").symlink("b/layer.tar", "../a/layer.tar").hard_link("c", "a/layer.tar");
  tar.symlink("out", "../../etc/passwd")
      .symlink("absolute", "/a/layer.tar")
      .symlink("loop", "loop")
      .symlink("lost", "nowhere");
  const indexed archive(tar.text());
  REQUIRE(archive.index.ok());
  CHECK(archive["b/layer.tar"] == "content");
  CHECK(archive["c"] == "content");
  CHECK(archive["absolute"] == "content");
  CHECK(archive["out"].find("leads out of the archive") != std::string::npos);
  CHECK(archive["loop"].find("too many links") != std::string::npos);
  CHECK(archive["lost"].find("no such member") != std::string::npos);
  CHECK_FALSE(archive.index->find("../a/layer.tar").ok());
}

TEST_CASE("tar_index: what is no tar, truncated or immoderate is refused") {
  CHECK(refusal(std::string(512, 'x')).find("at byte 0: this is no tar header") != std::string::npos);
  CHECK(refusal("short").find("truncated") != std::string::npos);
  const std::string sound = support::tar_builder().file("a", std::string(2000, 'a')).text();
  CHECK(refusal(sound.substr(0, 1000)).find("truncated") != std::string::npos);
  CHECK(refusal(support::tar_builder().add({.name = "a", .size = ~std::uint64_t{0} >> 1}).text()).find("truncated") !=
        std::string::npos);
  support::tar_builder pax;
  pax.header({.name = "x", .type = 'x', .size = 2 << 20}).body(std::string(2 << 20, 'x')).file("a");
  CHECK(refusal(pax.text()).find("longer than 1 MiB") != std::string::npos);
  support::tar_builder bad;
  bad.header({.name = "x", .type = 'x', .size = 9}).body("99 path=a").file("a");
  CHECK(refusal(bad.text()).find("pax record is malformed") != std::string::npos);
  CHECK(refusal(support::tar_builder().add({.name = std::string(5000, 'n')}).text()).find("longer than 4096") !=
        std::string::npos);
  CHECK(refusal("").empty());
}

TEST_CASE("tar_index: other kinds of members are passed over") {
  support::tar_builder tar;
  tar.add({.name = "g", .data = support::tar_builder::record("path", "global"), .type = 'g'});
  tar.add({.name = "fifo", .type = '6'}).add({.name = "dev", .type = '3'}).file("../outside", "x").file("a", "1");
  tar.add({.name = "sparse", .data = "x", .pax = {{"GNU.sparse.major", "1"}}});
  const indexed archive(tar.text());
  REQUIRE(archive.index.ok());
  CHECK(archive["a"] == "1");
  for (const char* const other : {"g", "fifo", "dev", "outside", "global", "sparse"})
    CHECK_FALSE(archive.index->find(other).ok());
}

TEST_CASE("tar_index: the names of all members together have a bound") {
  const std::string name(4000, 'n');
  const auto with = [&name](int members) {
    support::tar_builder tar;
    for (int each = 0; each < members; ++each) tar.symlink(name + std::to_string(each), name);
    return refusal(tar.text());
  };
  CHECK(with(4'000).empty());
  CHECK(with(4'300).find("the names take more than 32 MiB") != std::string::npos);
}
