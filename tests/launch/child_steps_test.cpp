// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/child_steps.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <mortise/sys/fd.hpp>
#include <string>
#include <support/skip.hpp>

using namespace mortise;

namespace {

/// The steps in the open.
struct steps : launch::child_steps {
  using child_steps::at;
  using child_steps::child_steps;
  using child_steps::explain;
  using child_steps::mount;
  using child_steps::refuse;
  using child_steps::set;
  using child_steps::step;
};

}  // namespace

TEST_CASE("child_steps: slots hold descriptors, and a failure has its step and its words") {
  std::array<int, 2> slots{-1, -1};
  launch::report report;
  steps child(slots, report);
  child.set(model::slot{1}, 7);
  CHECK(child.at(model::slot{1}) == 7);
  CHECK(slots[1] == 7);
  CHECK(child.step("open", -ENOENT) == -ENOENT);
  CHECK(std::string(report.step) == "open");
  CHECK(child.refuse("user", ERANGE, "too large") == -ERANGE);
  CHECK(std::string(report.step) == "user");
  CHECK(std::string(report.words) == "too large");
}

TEST_CASE("child_steps: a configured context is mounted, and a refused one explained by the kernel") {
  if (support::missing_root()) return;
  std::array<int, 2> slots{-1, -1};
  launch::report report;
  steps child(slots, report);
  const sys::unique_fd good(static_cast<int>(sys::raw_fsopen("tmpfs")));
  REQUIRE(good);
  CHECK(child.mount(good.get(), 0, model::slot{1}) == 0);
  const sys::unique_fd tree(child.at(model::slot{1}));
  struct stat about{};
  CHECK(::fstat(tree.get(), &about) == 0);
  CHECK(S_ISDIR(about.st_mode));
  const sys::unique_fd bad(static_cast<int>(sys::raw_fsopen("overlay")));
  if (!bad) return support::skip("needs a kernel with overlayfs");
  CHECK(child.mount(bad.get(), 0, model::slot{1}) < 0);
  CHECK(std::string(report.step) == "fsconfig create");
}
