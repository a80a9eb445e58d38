// SPDX-License-Identifier: Apache-2.0
#include <mortise/state/paths.hpp>

#include <doctest/doctest.h>

#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::state::make_private_directory;

TEST_CASE("paths: root's are the system's, others' their own") {
  if (support::missing_root()) return;
  CHECK(mortise::state::default_state_directory() == "/run/mortise");
  CHECK(mortise::state::default_data_directory() == "/var/lib/mortise");
  const auto other = support::in_child({.uid = support::nobody}, [] {
    std::string out;
    ::setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
    ::setenv("XDG_DATA_HOME", "relative", 1);
    ::setenv("HOME", "/home/x", 1);
    out = mortise::state::default_state_directory() + ' ' + mortise::state::default_data_directory();
    for (const char* const name : {"XDG_RUNTIME_DIR", "XDG_DATA_HOME", "HOME"}) ::unsetenv(name);
    return out + ' ' + mortise::state::default_state_directory() + ' ' + mortise::state::default_data_directory();
  });
  CHECK(other.text == "/run/user/1/mortise /home/x/.local/share/mortise /tmp/mortise-65534 /tmp/mortise-data-65534");
}

TEST_CASE("paths: a private directory is the caller's own, and nobody else's (CVE-2021-41103)" *
          doctest::test_suite("unprivileged")) {
  const support::temporary_directory directory;
  const std::string path = directory / "new/state";
  REQUIRE(make_private_directory(path).ok());
  struct stat about{};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0700);
  CHECK(make_private_directory(path).ok());
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  CHECK(make_private_directory(path).ok());
  for (const mode_t mode : {0770U, 0702U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(make_private_directory(path).code() == absl::StatusCode::kPermissionDenied);
  }
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  REQUIRE(::symlink(path.c_str(), (directory / "link").c_str()) == 0);
  CHECK(make_private_directory(directory / "link").code() == absl::StatusCode::kPermissionDenied);
  CHECK(make_private_directory("/proc/none/x").code() == absl::StatusCode::kNotFound);
  if (::geteuid() != 0) return;
  REQUIRE(::chown(path.c_str(), 1, 1) == 0);
  CHECK(make_private_directory(path).code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("paths: the boot has a name" * doctest::test_suite("unprivileged")) {
  const auto id = mortise::state::boot_id();
  REQUIRE(id.ok());
  CHECK(id->size() == 36);
  CHECK(*mortise::state::boot_id() == *id);
}
