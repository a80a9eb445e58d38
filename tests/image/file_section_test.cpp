// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/file_section.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <string>
#include <support/temporary.hpp>

using mortise::image::file_section;
using mortise::image::open_file;
using mortise::image::section_reader;

TEST_CASE("file_section: a part is read and nothing beside it, by several readers at once") {
  const support::temporary_directory place;
  support::write_file(place / "file", "0123456789");
  const auto whole = open_file(AT_FDCWD, place / "file");
  REQUIRE(whole.ok());
  CHECK(whole->size == 10);
  section_reader first(file_section{whole->file, 2, 3});
  section_reader second(file_section{whole->file, 2, 3});
  CHECK(support::read_whole(first, 2).value() == "234");
  CHECK(support::read_whole(second, 100).value() == "234");
  CHECK(support::read_whole(first).value().empty());
}

TEST_CASE("file_section: a file that became shorter simply ends") {
  const support::temporary_directory place;
  support::write_file(place / "file", "0123456789");
  const auto whole = open_file(AT_FDCWD, place / "file");
  REQUIRE(whole.ok());
  REQUIRE(::truncate((place / "file").c_str(), 4) == 0);
  section_reader reader(*whole);
  CHECK(support::read_whole(reader).value() == "0123");
}

TEST_CASE("file_section: only regular files are opened, and a FIFO does not block") {
  const support::temporary_directory place;
  REQUIRE(::mkfifo((place / "fifo").c_str(), 0600) == 0);
  for (const std::string& path : {place / "fifo", place.path(), std::string("/dev/null")}) {
    const auto opened = open_file(AT_FDCWD, path);
    CAPTURE(path);
    CHECK(mortise::message(opened.status()).find("not a regular file") != std::string_view::npos);
  }
  CHECK(absl::IsNotFound(open_file(AT_FDCWD, place / "missing").status()));
}

TEST_CASE("file_section: text is read up to a limit") {
  mortise::image::text_reader exact("12345");
  CHECK(mortise::image::read_text(exact, 5).value() == "12345");
  mortise::image::text_reader longer("123456");
  CHECK(absl::IsResourceExhausted(mortise::image::read_text(longer, 5).status()));
  support::endless_reader endless('x');
  CHECK(absl::IsResourceExhausted(mortise::image::read_text(endless, 100000).status()));
  CHECK(endless.taken() < 300000);
}
