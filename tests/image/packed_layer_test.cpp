// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/packed_layer.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <digest/memory_reader.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("a packed layer is its tar, byte for byte, and says whether it still is") {
  const support::temporary_directory place;
  const std::string tar(1'500'000, 't');
  support::memory_reader bytes(tar, 100'000);
  const auto directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  const auto written = image::write_packed(bytes, directory->get());
  REQUIRE(written.ok());
  CHECK(written->bytes == tar.size());
  CHECK(*sys::read_file(place / "layer.tar", 2 << 20) == tar);
  const auto diff_id = digest::of(tar);
  CHECK(*image::check_packed(place.path(), diff_id, nullptr));
  CHECK(image::open_packed(place.path())->size == tar.size());
  const std::atomic<bool> stop = true;
  CHECK(absl::IsCancelled(image::check_packed(place.path(), diff_id, &stop).status()));
  const auto damaged = sys::open(place / "layer.tar", O_WRONLY);
  REQUIRE(::pwrite(damaged->get(), "x", 1, 1000) == 1);
  CHECK(!*image::check_packed(place.path(), diff_id, nullptr));
  REQUIRE(::unlink((place / "layer.tar").c_str()) == 0);
  CHECK(!*image::check_packed(place.path(), diff_id, nullptr));
}

TEST_CASE("a tar for which there is no room is said, with what helps") {
  if (support::missing_root()) return;
  const support::temporary_tmpfs small(64 << 10);
  const auto directory = sys::open(small.path(), O_RDONLY | O_DIRECTORY);
  const std::string tar(100'000, 't');
  support::memory_reader bytes(tar, 10'000);
  CHECK(message(image::write_packed(bytes, directory->get()).status()) ==
        "write tar: No space left on device (free space, or use another disk)");
}

TEST_CASE("a tar that cannot be written, or read, is a failure") {
  const support::temporary_directory place;
  const auto directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  support::memory_reader bytes("x", 1);
  REQUIRE(image::write_packed(bytes, directory->get()).ok());
  support::memory_reader again("x", 1);
  CHECK(absl::IsAlreadyExists(image::write_packed(again, directory->get()).status()));
}
