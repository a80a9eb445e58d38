// SPDX-License-Identifier: Apache-2.0
// The ladder's rungs are tested by what they carry, in rootfs/overlay_test.cpp.
#include <mortise/launch/child_overlay.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/mount.hpp>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;

namespace {

/// Makes an overlay of these layers in a child, and returns what went wrong, or what it shows. Refused is fsconfig(2),
/// by EBADF descriptors only.
std::string overlay(const std::string& place, std::vector<std::string> layers, bool writable, rlim_t descriptors = 0,
                    int refusal = 0) {
  model::op::new_overlay wanted{std::move(layers), {}, {}, place + "/root", model::slot{1}};
  if (writable) {
    wanted.upper = place + "/upper";
    wanted.work = place + "/work";
  }
  return support::in_child({.namespaces = CLONE_NEWNS},
                           [&]() -> std::string {
                             (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
                             const rlimit few{descriptors, descriptors};
                             if (descriptors != 0) (void)::setrlimit(RLIMIT_NOFILE, &few);
                             if (refusal == EBADF)
                               support::deny_fsconfig({FSCONFIG_SET_FD});
                             else if (refusal != 0)
                               support::deny_system_calls({SYS_fsconfig}, refusal);
                             std::array<int, 2> slots{-1, -1};
                             launch::report report;
                             launch::child_overlay child(slots, report);
                             const long done = child.run(wanted);
                             if (done < 0)
                               return concat(
                                   report.step, ": ",
                                   report.words != nullptr ? report.words : errno_text(static_cast<int>(-done)));
                             return ::mkdirat(slots[1], "new", 0700) == 0 ? "writable" : errno_text(errno);
                           })
      .text;
}

std::string overlay(const std::string& place, int count, bool writable, rlim_t descriptors = 0, int refusal = 0) {
  std::vector<std::string> layers;
  for (int each = 0; each < count; ++each) layers.push_back(place + "/lower-" + std::to_string(each));
  return overlay(place, std::move(layers), writable, descriptors, refusal);
}

void make(const std::string& place, int count) {
  for (int each = 0; each < count; ++each)
    REQUIRE(::mkdir((place + "/lower-" + std::to_string(each)).c_str(), 0755) == 0);
  for (const char* const each : {"/upper", "/work", "/root"}) REQUIRE(::mkdir((place + each).c_str(), 0755) == 0);
}

}  // namespace

TEST_CASE("child_overlay: with an upper directory it is writable, without it is not") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  make(place.path(), 2);
  CHECK(overlay(place.path(), 2, true) == "writable");
  CHECK(overlay(place.path(), 2, false) == "Read-only file system");
}

TEST_CASE("child_overlay: what is missing is named by its step") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  make(place.path(), 1);
  const std::string said = overlay(place.path(), 2, true);
  const bool named = said == "lowerdir+: No such file or directory" || said == "lowerdir: No such file or directory";
  CHECK_MESSAGE(named, said);
  REQUIRE(::rmdir((place / "work").c_str()) == 0);
  CHECK(overlay(place.path(), 1, true) == "workdir: No such file or directory");
}

TEST_CASE("child_overlay: few descriptors are enough where the kernel takes layers one by one") {
  if (support::missing_root()) return;
  if (!support::overlays_take_single_layers())
    return support::skip("needs Linux 6.8: overlayfs that takes its layers one by one");
  const support::temporary_directory place;
  make(place.path(), 100);
  CHECK(overlay(place.path(), 100, true, 40) == "writable");
}

TEST_CASE("child_overlay: a path of any spelling is taken, whether as a string or not") {
  if (support::missing_root()) return;
  for (const std::string name : {"a\\b", "a:b,c=d e", "a\\\\\\:b"}) {
    for (const int refusal : {0, EBADF, EINVAL, EOPNOTSUPP}) {
      const support::temporary_directory place;
      const std::string odd = place / name;
      REQUIRE(::mkdir(odd.c_str(), 0755) == 0);
      make(place.path(), 1);
      make(odd, 2);
      CHECK(overlay(odd, {place / "lower-0", odd + "/lower-0", odd + "/lower-1"}, true, 0, refusal) == "writable");
    }
  }
}

TEST_CASE("child_overlay: mount(2) needs a descriptor for each layer, and says so") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  make(place.path(), 100);
  CHECK(overlay(place.path(), 100, true, 40, EOPNOTSUPP) ==
        "lowerdir: each layer takes a descriptor: raise RLIMIT_NOFILE");
  CHECK(overlay(place.path(), 100, true, 140, EOPNOTSUPP) == "writable");
}

TEST_CASE("child_overlay: mount(2) does it where fsconfig takes no descriptors, before Linux 6.5") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  make(place.path(), 2);
  CHECK(overlay(place.path(), 2, true, 0, EOPNOTSUPP) == "writable");
  CHECK(overlay(place.path(), 2, false, 0, EOPNOTSUPP) == "Read-only file system");
}
