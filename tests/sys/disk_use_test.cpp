// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/disk_use.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <support/temporary.hpp>
#include <thread>

using namespace mortise;

namespace {

void write(const std::string& path, std::size_t size) {
  const auto file = sys::open(path, O_WRONLY | O_CREAT, 0600);
  REQUIRE(file.ok());
  REQUIRE(sys::write_all(file->get(), std::string(size, 'x')).ok());
  REQUIRE(::fsync(file->get()) == 0);  // blocks are counted once they are allocated
}

sys::disk_use use_of(const std::string& directory) {
  sys::use_counter counter;
  const absl::Status status = counter.add(directory);
  REQUIRE_MESSAGE(status.ok(), std::string(message(status)));
  return counter.sum();
}

}  // namespace

TEST_CASE("disk_use: inodes are counted once, by their blocks, and links are not followed") {
  const support::temporary_directory place;
  const sys::disk_use empty = use_of(place.path());
  CHECK(empty.inodes == 1);
  write(place / "file", 100'000);
  REQUIRE(::link((place / "file").c_str(), (place / "again").c_str()) == 0);
  REQUIRE(::symlink("/", (place / "out").c_str()) == 0);
  const auto sparse = sys::open(place / "sparse", O_WRONLY | O_CREAT, 0600);
  REQUIRE(::ftruncate(sparse->get(), 1 << 30) == 0);
  REQUIRE(::mkdir((place / "d").c_str(), 0700) == 0);
  write(place / "d/file", 50'000);
  const sys::disk_use use = use_of(place.path());
  CHECK(use.inodes == 6);
  CHECK(use.used.count >= 150'000);
  CHECK(use.used.count < 300'000);
  sys::use_counter twice;
  REQUIRE(twice.add(place.path()).ok());
  REQUIRE(twice.add(place / "d").ok());
  CHECK(twice.sum().inodes == 8);
}

TEST_CASE("disk_use: trees deeper than a path is long, or there are descriptors, are counted") {
  const support::temporary_directory place;
  constexpr int depth = 1500;
  const std::string name(20, 'n');
  sys::unique_fd at = *sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < depth; ++level) {
    REQUIRE(::mkdirat(at.get(), name.c_str(), 0700) == 0);
    at = *sys::open_at(at.get(), name, O_RDONLY | O_DIRECTORY);
  }
  CHECK(use_of(place.path()).inodes == 1 + depth);
}

TEST_CASE("disk_use: what comes and goes meanwhile is no failure") {
  const support::temporary_directory place;
  std::atomic<bool> stop = false;
  std::jthread other([&] {
    for (int round = 0; !stop; ++round) {
      const std::string path = place / ("d" + std::to_string(round % 20));
      (void)::mkdir(path.c_str(), 0700);
      (void)::mkdir((path + "/inner").c_str(), 0700);
      (void)::rmdir((path + "/inner").c_str());
      (void)::rmdir(path.c_str());
      (void)::symlink("/", path.c_str());
      (void)::unlink(path.c_str());
    }
  });
  for (int round = 0; round < 300; ++round) {
    sys::use_counter counter;
    const absl::Status status = counter.add(place.path());
    CHECK_MESSAGE(status.ok(), std::string(message(status)));
  }
  stop = true;
}

TEST_CASE("disk_use: what is not there is named") {
  sys::use_counter counter;
  CHECK(message(counter.add("/nowhere")) == "open '/nowhere': No such file or directory");
}

TEST_CASE("disk_use: a file system says what it holds") {
  const support::temporary_directory place;
  const auto directory = sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  CHECK(sys::use_of_file_system(directory->get())->inodes > 0);
  CHECK_FALSE(sys::use_of_file_system(-1).ok());
}
