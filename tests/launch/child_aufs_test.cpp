// SPDX-License-Identifier: Apache-2.0
// What mount(2) is told, and what is said when it refuses; what an aufs then shows is tested in rootfs/aufs_test.cpp.
#include <mortise/launch/child_aufs.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <mortise/sys/file.hpp>
#include <numeric>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;
using launch::option_page;

namespace {

std::vector<long> numbers(std::size_t count, long from) {
  std::vector<long> out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

/// Makes an aufs of so many layers in a child, which always fails where the kernel has none: "step: why".
std::string make(const std::string& place, const std::vector<std::string>& lower, int refusal = 0) {
  const model::op::new_aufs wanted{lower, place + "/upper", place + "/root", model::slot{1}};
  return support::in_child({.namespaces = CLONE_NEWNS},
                           [&]() -> std::string {
                             (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
                             if (refusal != 0) support::deny_system_calls({SYS_mount}, refusal);
                             std::array<int, 2> slots{-1, -1};
                             launch::report report;
                             launch::child_aufs child(slots, report);
                             const long done = child.run(wanted);
                             if (done == 0) return "made";
                             const bool reworded = report.words != nullptr;
                             return concat(report.step, ": ",
                                           reworded ? report.words : errno_text(static_cast<int>(-done)));
                           })
      .text;
}

}  // namespace

TEST_CASE("child_aufs: options name branches by numbers, the writable one first") {
  option_page page;
  REQUIRE(launch::aufs_mount_options(5, numbers(2, 6), 5, page));
  CHECK(page.text() == std::string("dirs=5=rw:6=ro+wh:7=ro+wh,dirperm1"));
  option_page alone;
  REQUIRE(launch::aufs_mount_options(5, {}, 5, alone));
  CHECK(alone.text() == std::string("dirs=5=rw,dirperm1"));
  option_page read_only;
  REQUIRE(launch::aufs_mount_options(-1, numbers(1, 8), 9, read_only));
  CHECK(read_only.text() == std::string("dirs=8=ro+wh,xino=9/.aufs.xino,dirperm1"));
  option_page more;
  REQUIRE(launch::aufs_append_options(numbers(2, 70), more));
  CHECK(more.text() == std::string("append=70=ro+wh,append=71=ro+wh"));
}

TEST_CASE("child_aufs: a batch fits into the page with the longest numbers, and what does not is refused") {
  option_page first;
  CHECK(launch::aufs_mount_options(1'048'576, numbers(launch::aufs_batch, 1'048'577), 1, first));
  option_page next;
  CHECK(launch::aufs_append_options(numbers(launch::aufs_batch, 1'048'577), next));
  option_page full;
  CHECK_FALSE(launch::aufs_mount_options(1, numbers(1000, 10), 1, full));
  CHECK_FALSE(launch::aufs_append_options(numbers(1000, 10), full));
}

TEST_CASE("child_aufs: what is missing or refused is named by its step") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  std::vector<std::string> lower;
  for (int each = 0; each < 200; ++each) {
    lower.push_back(place / ("lower-" + std::to_string(each) + std::string(200, 'x')));
    REQUIRE(::mkdir(lower.back().c_str(), 0755) == 0);
  }
  REQUIRE(::mkdir((place / "root").c_str(), 0755) == 0);
  CHECK(make(place.path(), {lower[0]}) == "upper directory: No such file or directory");
  REQUIRE(::mkdir((place / "upper").c_str(), 0755) == 0);
  CHECK(make(place.path(), {lower[0], place / "nowhere"}) == "lower directory: No such file or directory");
  CHECK(make(place.path(), lower, EINVAL) == "mount: Invalid argument");
  CHECK(make(place.path(), lower, ENOSPC) == "mount: these are more branches than this aufs was built for");
  CHECK(make(place.path(), lower, ENODEV) == "mount: the kernel has no aufs");
}
