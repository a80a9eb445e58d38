// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/tar_file.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>

#include <array>
#include <mortise/sys/fd.hpp>
#include <string>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("a tar file is read from its beginning, skipped in, and ends with a whole block") {
  const support::temporary_directory place;
  const auto file = sys::open(place / "tar", O_RDWR | O_CREAT, 0600);
  REQUIRE(file.ok());
  REQUIRE(sys::write_all(file->get(), std::string(512, 'a') + std::string(100, 'b')).ok());
  CHECK(*erofs::tar_file::size_of(file->get()) == 612);
  CHECK(!erofs::tar_file::size_of(-1).ok());
  erofs::tar_file tar(file->get(), 612);
  std::array<std::byte, 200> bytes{};
  CHECK(*tar.read(bytes) == 200);
  CHECK(bytes[0] == std::byte{'a'});
  CHECK(*tar.skip(312) == 312);
  CHECK(*tar.read(bytes) == 100);
  CHECK(bytes[0] == std::byte{'b'});
  CHECK(*tar.read(bytes) == 200);
  CHECK(bytes[0] == std::byte{0});
  CHECK(*tar.skip(1000) == 212);
  CHECK(*tar.read(bytes) == 0);
  REQUIRE(::ftruncate(file->get(), 100) == 0);
  erofs::tar_file shorter(file->get(), 612);
  CHECK(*shorter.read(bytes) == 100);
  CHECK(message(shorter.read(bytes).status()) == "read layer tar: it became shorter");
}
