// SPDX-License-Identifier: Apache-2.0
// How containers see such roots is tested in container/mapped_test.cpp.
#include <mortise/rootfs/mapped_overlay.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <conformance/merging_backend.hpp>
#include <conformance/rootfs_backend.hpp>

#include <filesystem>
#include <mortise/model/plan_text.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/mapped_ids.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;
using conformance::file;
using rootfs::mapped_overlay;

namespace {

struct scene {
  support::temporary_directory place;
  conformance::layer_set<model::overlay_layers> layers{place / "layer-"};

  std::string box(const std::string& name) {
    const std::string path = place / name;
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    return path;
  }
};

/// The tree that a plan takes over, by a path.
std::string tree_of(const model::plan& plan) {
  return concat("/proc/self/fd/", std::get<model::op::adopt_tree>(plan.at(model::stage::root).front()).from);
}

uid_t owner_of(const std::string& path) {
  struct stat about{};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  return about.st_uid;
}

}  // namespace

namespace conformance {
template <>
inline constexpr bool may_be_absent<mapped_overlay> = true;
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, mapped_overlay);
TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, mapped_overlay);
}  // namespace conformance

TEST_CASE("mapped_overlay: layers show the range's ids, and what changes is the upper directory's") {
  if (support::missing_mapped_ids()) return;
  scene s;
  s.layers.add({file("low", "1").with_owner(5), file("gone"), conformance::directory(".", 0751)});
  s.layers.add(
      {file("high", "2").with_owner(65'534), conformance::whiteout("gone"), conformance::directory(".", 0751)});
  s.layers.add({file("foreign", "3").with_owner(65'536), conformance::directory(".", 0751).with_owner(7)});
  const std::string box = s.box("box");
  model::plan plan;
  const auto made = mapped_overlay().provision({s.layers.all(), box, {}, model::id_range{200'000, 65'536}}, plan);
  REQUIRE_MESSAGE(made.ok(), std::string(message(made.status())));
  const std::string tree = tree_of(plan);
  CHECK(conformance::tree_text(tree) == "foreign: 3\nhigh: 2\nlow: 1\n");
  CHECK(owner_of(tree + "/low") == 200'005);
  CHECK(owner_of(tree + "/high") == 265'534);
  CHECK_MESSAGE(owner_of(tree + "/foreign") == 65'534, "whom the range has not is nobody");
  CHECK(owner_of(tree + '/') == 200'007);
  REQUIRE(::chown((tree + "/low").c_str(), 200'001, 200'001) == 0);
  CHECK(owner_of(box + "/upper/low") == 200'001);
  CHECK(owner_of(s.layers.all()[0].directory + "/low") == 5);
  CHECK(made->writable.front() == box + "/upper");
  CHECK_FALSE(made->is_private);
  plan = {};
  CHECK(*mapped_overlay().destroy(box));
  CHECK(::access(box.c_str(), F_OK) != 0);
}

TEST_CASE("mapped_overlay: without a range, or of another's privileges, it is refused and leaves nothing mounted") {
  if (support::missing_mapped_ids()) return;
  scene s;
  s.layers.add({file("a")});
  const support::leak_snapshot before;
  const auto refusal = [&](std::optional<model::id_range> ids) {
    static int number = 0;
    model::plan plan;
    return std::string(
        message(mapped_overlay().provision({s.layers.all(), s.box(concat("box-", number++)), {}, ids}, plan).status()));
  };
  CHECK(refusal({}) == "provision mapped-overlay: it maps ids: give the container isolate::mapped_user_namespace");
  CHECK(refusal(model::id_range{5, 0}) == "provision mapped-overlay: map ids: there must be one at least");
  REQUIRE(::chmod(s.place.path().c_str(), 0777) == 0);
  const auto said = support::in_child({.uid = support::nobody}, [&]() -> std::string {
    return std::string(message(mapped_overlay().probe(s.place.path())));
  });
  CHECK(said.text.find("make user namespace: write '") != std::string::npos);
  CHECK(said.text.find("Operation not permitted") != std::string::npos);
  CHECK(before.leaked() == "");
}

TEST_CASE("mapped_overlay: layers on a file system that cannot map ids are named") {
  if (support::missing_mapped_ids()) return;
  const support::temporary_directory place;
  const auto said = support::in_child({.namespaces = CLONE_NEWNS}, [&]() -> std::string {
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    model::plan plan;
    const model::layers layers = {{std::nullopt, "/proc/1"}};
    const std::string box = place / "box";
    (void)::mkdir(box.c_str(), 0700);
    return std::string(message(mapped_overlay().provision({layers, box, {}, model::id_range{1, 1}}, plan).status()));
  });
  CHECK(said.text ==
        "provision mapped-overlay: map ids of '/proc/1': Invalid argument (its file system, or this kernel, cannot)");
}

TEST_CASE("mapped_overlay: a bound that no project holds is a tmpfs of the plan's") {
  if (support::missing_mapped_ids()) return;
  scene s;
  s.layers.add({file("a").with_owner(3)});
  const std::string box = s.box("box");
  model::plan plan;
  const auto made = mapped_overlay().provision({s.layers.all(), box, {1 << 20}, model::id_range{1000, 10}}, plan);
  REQUIRE_MESSAGE(made.ok(), std::string(message(made.status())));
  CHECK(made->is_private);
  const auto file = sys::open(tree_of(plan) + "/big", O_WRONLY | O_CREAT, 0600);
  REQUIRE(file.ok());
  CHECK(errno_of(sys::write_all(file->get(), std::string(2 << 20, 'x'))) == ENOSPC);
  CHECK(*mapped_overlay().destroy(box));
}

TEST_CASE("mapped_overlay: five hundred layers, shown read-only") {
  if (support::missing_mapped_ids()) return;
  scene s;
  for (int number = 0; number < 500; ++number) s.layers.add({file("top", std::to_string(number))});
  model::plan plan;
  const auto shown = mapped_overlay().show({s.layers.all(), s.box("box"), {}, model::id_range{1000, 10}}, plan);
  REQUIRE_MESSAGE(shown.ok(), std::string(message(shown.status())));
  const std::string tree =
      concat("/proc/self/fd/", std::get<model::op::adopt_tree>(plan.at(model::stage::root)[0]).from);
  CHECK(*sys::read_file(tree + "/top") == "499");
  CHECK(::access((tree + "/top").c_str(), W_OK) != 0);
}
