// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/bundle.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <archive/pack.hpp>
#include <archive/tar_builder.hpp>
#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::bundle;

namespace {

std::string content(const bundle& from, const std::string& name) {
  const auto found = from.find(name);
  if (!found.ok()) return std::string(message(found.status()));
  mortise::image::section_reader reader(*found);
  return support::read_whole(reader).value();
}

}  // namespace

TEST_CASE("bundle: a directory, an archive of it and compressed archives hold the same files") {
  const support::temporary_directory place;
  const std::string tar = support::tar_builder().file("sub/file", "content").text();
  REQUIRE(mortise::sys::make_directories(place / "dir/sub").ok());
  support::write_file(place / "dir/sub/file", "content");
  support::write_file(place / "plain.tar", tar);
  support::write_file(place / "tar.gz", support::gzip(tar));
  support::write_file(place / "tar.zst", support::zstd(tar));
  for (const char* const name : {"dir", "plain.tar", "tar.gz", "tar.zst"}) {
    CAPTURE(name);
    auto opened = bundle::open(place / name);
    REQUIRE(opened.ok());
    REQUIRE(opened->read_index(place.path()).ok());
    CHECK(content(*opened, "sub/file") == "content");
    CHECK(absl::IsNotFound(opened->find("sub/other").status()));
  }
}

TEST_CASE("bundle: what cannot be read is refused with its name") {
  const support::temporary_directory place;
  CHECK(message(bundle::open(place / "none").status()).find("none': No such file") != std::string_view::npos);
  REQUIRE(::mkfifo((place / "fifo").c_str(), 0600) == 0);
  CHECK(message(bundle::open(place / "fifo").status()).find("neither a directory nor a file") !=
        std::string_view::npos);
  support::write_file(place / "text", std::string(600, 'x'));
  auto text = bundle::open(place / "text");
  CHECK(message(text->read_index(place.path())).find("no tar header") != std::string_view::npos);
  support::write_file(place / "cut.gz", support::gzip(std::string(10000, 'x')).substr(0, 30));
  auto cut = bundle::open(place / "cut.gz");
  CHECK(absl::IsDataLoss(cut->read_index(place.path())));
  support::write_file(place / "xz", std::string("\xfd\x37zXZ\0", 6) + "more bytes");
  auto xz = bundle::open(place / "xz");
  CHECK(message(xz->read_index(place.path())).find("packed with xz") != std::string_view::npos);
}

TEST_CASE("bundle: a file that may not be read says so") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  support::write_file(place / "tar", "x");
  REQUIRE(::chmod((place / "tar").c_str(), 0600) == 0);
  const auto result = support::in_child({.uid = support::nobody}, [&] { return bundle::open(place / "tar").status(); });
  CHECK(result.text.find("tar': Permission denied") != std::string::npos);
}

TEST_CASE("bundle: a fingerprint changes with the file, and is none while it is too young") {
  const support::temporary_directory place;
  support::write_file(place / "tar", "x");
  CHECK(bundle::open(place / "tar")->fingerprint().empty());
  CHECK(bundle::open(place.path())->fingerprint().empty());
  CHECK_FALSE(bundle::open("/etc/passwd")->fingerprint().empty());
  CHECK(bundle::open("/etc/passwd")->fingerprint() == bundle::open("/etc/passwd")->fingerprint());
}
