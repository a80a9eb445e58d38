// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/ownership.hpp>

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace {

std::string said(const std::string& path) {
  return std::string(mortise::message(mortise::sys::expect_own_directory(path)));
}

}  // namespace

TEST_CASE("ownership: a directory of the caller's own, below ones that nobody else can exchange" *
          doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const std::string above = place / "above";
  const std::string path = above + "/own";
  REQUIRE((::mkdir(above.c_str(), 0755) == 0 && ::mkdir(path.c_str(), 0700) == 0));
  CHECK(said(path) == "");
  CHECK(said("/proc/self/root" + path) == "");  // as it really lies
  const auto with_modes = [&](mode_t of_above, mode_t of_own) {
    REQUIRE((::chmod(above.c_str(), of_above) == 0 && ::chmod(path.c_str(), of_own) == 0));
    return said(path);
  };
  const std::string shared =
      "use directory '" + path + "': it must be a directory of the caller's own that nobody else can write";
  CHECK(with_modes(0755, 0755) == "");
  CHECK(with_modes(0755, 0770) == shared);
  CHECK(with_modes(0755, 0702) == shared);
  CHECK(with_modes(0775, 0700) == "");
  CHECK(with_modes(01777, 0700) == "");
  CHECK(with_modes(0777, 0700) == "use directory '" + path + "': everybody could exchange it in '" + above +
                                      "' (chmod o-w, or choose another place)");
  CHECK(said(place / "none") == "use directory '" + (place / "none") + "': No such file or directory");
  CHECK(mortise::sys::expect_own_directory("/proc/self/status").code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("ownership: what somebody else has made where everybody may is refused") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const std::string shared = place / "shared";
  const std::string squatted = shared + "/squatted";
  const std::string path = squatted + "/own";
  REQUIRE((::mkdir(shared.c_str(), 0755) == 0 && ::mkdir(squatted.c_str(), 0755) == 0));
  REQUIRE((::mkdir(path.c_str(), 0700) == 0 && ::chmod(place.path().c_str(), 0755) == 0));
  REQUIRE(::chown(path.c_str(), 1, 1) == 0);
  CHECK(said(path).ends_with("it must be a directory of the caller's own that nobody else can write"));
  CHECK(support::in_child({.uid = 1}, [&] { return said(path); }).text == "");
  REQUIRE((::chown(squatted.c_str(), 1, 1) == 0 && ::chown(path.c_str(), 0, 0) == 0));
  CHECK(said(path) == "");  // as below somebody's home
  REQUIRE(::chmod(shared.c_str(), 01777) == 0);
  CHECK(said(path) ==
        "use directory '" + path + "': user 1 could exchange it in '" + squatted + "' (choose another place)");
  REQUIRE(::chown(squatted.c_str(), support::nobody, support::nobody) == 0);
  CHECK(said(path).find("user 65534 could exchange it") != std::string::npos);
  REQUIRE(::chown(squatted.c_str(), 0, 0) == 0);
  CHECK(said(path) == "");
}

TEST_CASE("ownership: owners that a user namespace does not map are believed within it") {
  if (support::missing_root() || support::missing_user_namespaces()) return;
  const support::temporary_directory place;
  const std::string path = place / "own";
  REQUIRE((::chmod(place.path().c_str(), 0755) == 0 && ::mkdir(path.c_str(), 0700) == 0));
  REQUIRE(::chown(path.c_str(), support::nobody, support::nobody) == 0);
  const auto within =
      support::in_child({.uid = support::nobody, .namespaces = CLONE_NEWUSER}, [&] { return said(path); });
  CHECK(within.text == "");
}
