// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <support/skip.hpp>
#include <support/temporary.hpp>

TEST_CASE("temporary: a directory takes itself away with all it holds") {
  std::string path;
  {
    const support::temporary_directory directory;
    path = directory.path();
    REQUIRE(mortise::sys::make_directories(directory / "a/b/c").ok());
    CHECK(::access((directory / "a/b/c").c_str(), F_OK) == 0);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("temporary: a tmpfs is as small as asked for, and is gone afterwards") {
  if (support::missing_root()) return;
  std::string path;
  {
    const support::temporary_tmpfs disk(1 << 16);
    path = disk.path();
    const auto file = mortise::sys::open(disk / "file", O_WRONLY | O_CREAT, 0644);
    REQUIRE(file.ok());
    const absl::Status written = mortise::sys::write_all(file->get(), std::string(1 << 17, 'x'));
    CHECK(mortise::errno_of(written) == ENOSPC);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}
