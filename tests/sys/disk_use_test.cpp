// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/disk_use.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
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

/// Makes directories in one another; a descriptor of the last.
sys::unique_fd make_chain(const std::string& from, int depth, const std::string& name) {
  sys::unique_fd at = *sys::open(from, O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < depth; ++level) {
    REQUIRE(::mkdirat(at.get(), name.c_str(), 0700) == 0);
    at = *sys::open_at(at.get(), name, O_RDONLY | O_DIRECTORY);
  }
  return at;
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
  (void)make_chain(place.path(), depth, std::string(20, 'n'));
  CHECK(use_of(place.path()).inodes == 1 + depth);
}

TEST_CASE("disk_use: a tree takes the time of its size, however deep it is") {
  const support::temporary_directory place;
  constexpr int depth = 40'000;
  (void)make_chain(place.path(), depth, "d");
  const auto outcome = support::in_child({.limits = {{RLIMIT_NOFILE, 64}}, .cpu_seconds = 20},
                                         [&] { return std::to_string(use_of(place.path()).inodes); });
  CHECK(outcome.text == std::to_string(depth + 1));
  CHECK(outcome.signal == 0);  // else SIGXCPU
}

TEST_CASE("disk_use: many directories far down take little memory") {
  if (support::memory_is_not_ours()) return;
  const support::temporary_directory place;
  const sys::unique_fd last = make_chain(place.path(), 15, std::string(250, 'n'));
  for (int each = 0; each < 20'000; ++each) REQUIRE(::mkdirat(last.get(), std::to_string(each).c_str(), 0700) == 0);
  const auto outcome = support::in_child({}, [&] {
    rusage before{};
    rusage after{};
    (void)::getrusage(RUSAGE_SELF, &before);
    (void)use_of(place.path());
    (void)::getrusage(RUSAGE_SELF, &after);
    return after.ru_maxrss - before.ru_maxrss < 32L << 10;
  });
  CHECK(outcome.ok());
}

TEST_CASE("disk_use: what lies beside a deep directory that is moved is counted") {
  const support::temporary_directory place;
  sys::unique_fd at = *sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < 100; ++level) {
    REQUIRE(::mkdirat(at.get(), "a", 0700) == 0);
    REQUIRE(::mkdirat(at.get(), "b", 0700) == 0);
    at = *sys::open_at(at.get(), level % 2 == 0 ? "a" : "b", O_RDONLY | O_DIRECTORY);
    if (level == 60) REQUIRE(::mkdirat(at.get(), "moves", 0700) == 0);
    if (level == 60) at = *sys::open_at(at.get(), "moves", O_RDONLY | O_DIRECTORY);
  }
  std::string path = place.path();
  for (int level = 0; level <= 60; ++level) path += level % 2 == 0 ? "/a" : "/b";
  std::atomic<bool> stop = false;
  std::jthread other([&] {
    while (!stop) {
      (void)::rename((path + "/moves").c_str(), (place / "moves").c_str());
      (void)::rename((place / "moves").c_str(), (path + "/moves").c_str());
    }
  });
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t inodes = use_of(place.path()).inodes;
    CHECK(inodes >= 1 + 2 * 61);
    CHECK(inodes <= 2 + 2 * 61 + 2 * (1 + 2 * 39));  // it may be met in both places
  }
  stop = true;
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
