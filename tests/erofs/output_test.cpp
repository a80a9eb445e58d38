// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/output.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("a file is written with holes where it was passed over") {
  const support::temporary_directory place;
  const std::string path = place / "out";
  const auto file = sys::open(path, O_RDWR | O_CREAT, 0600);
  REQUIRE(file.ok());
  erofs::output out(file->get());
  out.append("a");
  out.pass_to(3);
  out.append("b");
  out.pass_to(10 << 20);
  out.append(std::string(1 << 20, 'c'));
  CHECK(out.position() == 11 << 20);
  REQUIRE(out.finish((11 << 20) + 5).ok());
  const auto text = sys::read_file(path, 20 << 20);
  REQUIRE(text.ok());
  CHECK(text->size() == (11 << 20) + 5);
  CHECK(text->substr(0, 5) == std::string("a\0\0b\0", 5));
  CHECK(text->substr((10 << 20) - 1, 2) == std::string("\0c", 2));
  struct stat about{};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK(about.st_blocks * 512 < 3 << 20);
}

TEST_CASE("what cannot be written is said at the end") {
  erofs::output out(-1);
  out.append("x");
  CHECK(message(out.finish(1)) == "write index: Bad file descriptor");
  const auto full = sys::open("/dev/full", O_WRONLY);
  REQUIRE(full.ok());
  erofs::output nowhere(full->get());
  nowhere.append("x");
  CHECK(absl::IsResourceExhausted(nowhere.finish(1)));
}
