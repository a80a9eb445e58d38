// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/writer.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>

#include <atomic>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;
using erofs::tree;

namespace {

absl::StatusOr<erofs::written> write(const tree& all, const std::vector<erofs::tar_device>& devices,
                                     const std::string& to, unsigned block_bits = 9,
                                     const std::atomic<bool>* cancelled = nullptr) {
  const auto file = sys::open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(file.ok());
  return erofs::writer(all, devices, block_bits, cancelled).write(file->get());
}

}  // namespace

TEST_CASE("an index has whole blocks, a superblock, and a checksum over it") {
  const support::temporary_directory place;
  tree all;
  all.link(tree::root, "a", all.add({.mode = S_IFREG | 0644}), 0);
  const auto made = write(all, {{-1, 100}, {-1, 1 << 20}, {-1, 0}, {-1, 513}}, place / "index");
  REQUIRE(made.ok());
  CHECK(made->inodes == 2);
  CHECK(made->flattened_bytes == 0);
  const auto text = sys::read_file(place / "index");
  REQUIRE(text.ok());
  CHECK(text->size() % 512 == 0);
  CHECK(made->metadata_bytes == 2048);
  CHECK(text->size() == 4096);  // a whole page
  std::string covered = text->substr(1024, 512);
  std::uint32_t sum = 0;
  for (int each = 3; each >= 0; --each)
    sum = sum << 8 | static_cast<unsigned char>(covered[4 + static_cast<unsigned>(each)]);
  covered.replace(4, 4, 4, '\0');
  CHECK(sum == erofs::checksum(covered));
}

TEST_CASE("more blocks than can be numbered are refused") {
  const support::temporary_directory place;
  const tree all;
  CHECK(absl::IsResourceExhausted(write(all, {{-1, std::uint64_t{3} << 40}}, place / "index").status()));
  CHECK(write(all, {{-1, std::uint64_t{1} << 40}}, place / "index").ok());
  CHECK(absl::IsResourceExhausted(
      write(all, std::vector<erofs::tar_device>(70'000, erofs::tar_device{-1, 1}), place / "index").status()));
}

TEST_CASE("pieces of a sparse file are put together, each from where it lies") {
  const support::temporary_directory place;
  const auto tar = sys::open(place / "tar", O_RDWR | O_CREAT, 0600);
  REQUIRE(tar.ok());
  REQUIRE(sys::write_all(tar->get(), "0123456789").ok());
  tree all;
  const auto pieces = all.add_pieces({{2, 7, 2}, {5, 1, 3}});
  all.link(
      tree::root, "f",
      all.add(
          {.size = 9, .content = pieces, .device = 0, .mode = S_IFREG | 0644, .place = erofs::placement::flattened}),
      0);
  const auto made = write(all, {{tar->get(), 10}}, place / "index");
  REQUIRE(made.ok());
  CHECK(made->flattened_bytes == 5);
  const auto text = sys::read_file(place / "index");
  REQUIRE(text.ok());
  CHECK(text->substr(made->metadata_bytes, 9) == std::string("\0\0"
                                                             "78\0"
                                                             "123\0",
                                                             9));
  const std::atomic<bool> stop = true;
  CHECK(absl::IsCancelled(write(all, {{tar->get(), 10}}, place / "index", 9, &stop).status()));
  tree odd;
  const auto backwards = odd.add_pieces({{5, 1, 3}, {0, 0, 1}});
  odd.link(
      tree::root, "f",
      odd.add({.size = 9, .content = backwards, .device = 0, .mode = S_IFREG, .place = erofs::placement::flattened}),
      0);
  CHECK(!write(odd, {{tar->get(), 10}}, place / "index").ok());
}
