// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/project_bound.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/loop_disk.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

/// What a user without privileges is told who writes so much into a new file.
std::string write_as_user(const std::string& path, std::size_t size) {
  return support::in_child({.uid = support::nobody},
                           [&]() -> std::string {
                             const auto file = sys::open(path, O_WRONLY | O_CREAT, 0600);
                             const absl::Status done =
                                 file.ok() ? sys::write_all(file->get(), std::string(size, 'x')) : file.status();
                             const int problem = errno_of(done);  // XFS has no room for the inode either
                             return problem == EDQUOT || problem == ENOSPC ? "full" : errno_text(problem);
                           })
      .text;
}

}  // namespace

TEST_CASE_TEMPLATE("project_bound: what is in a directory is bounded together, and may grow by so much more", Kind,
                   support::ext4_quotas, support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk) return;
  const std::string both = *disk / "d/both";
  REQUIRE(::mkdir(both.c_str(), 0755) == 0);
  REQUIRE(rootfs::bound_by_project(both, {1 << 20}).ok());
  const std::string one = both + "/one";
  const std::string other = both + "/other";
  for (const auto& each : {one, other}) {
    REQUIRE(::mkdir(each.c_str(), 0700) == 0);
    REQUIRE(::chmod(each.c_str(), 0777) == 0);
  }
  CHECK(write_as_user(one + "/a", 700'000) == "Success");
  CHECK(write_as_user(other + "/b", 700'000) == "full");
  REQUIRE(rootfs::bound_growth(both, {1 << 20}).ok());
  CHECK(write_as_user(other + "/c", 900'000) == "Success");
  CHECK(write_as_user(other + "/d", 900'000) == "full");
  rootfs::lift_bound(both);
  CHECK(write_as_user(other + "/e", 2'000'000) == "Success");
}

TEST_CASE_TEMPLATE("project_bound: in a user namespace nothing leaves its project", Kind, support::ext4_quotas,
                   support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk || support::missing_user_namespaces()) return;
  const std::string bounded = *disk / "d/bounded";
  REQUIRE(::mkdir(bounded.c_str(), 0700) == 0);
  REQUIRE(::chmod(bounded.c_str(), 0777) == 0);
  REQUIRE(rootfs::bound_by_project(bounded, {1 << 20}).ok());
  const auto leave = [&]() -> std::string {
    const auto file = sys::open(bounded + "/file", O_RDWR | O_CREAT, 0600);
    return file.ok() ? std::string(message(sys::set_project(file->get(), 0))) : std::string(message(file.status()));
  };
  const auto left = support::in_child({.uid = support::nobody, .namespaces = CLONE_NEWUSER}, leave);
  CHECK(left.text == "set project of directory: Invalid argument");
}

TEST_CASE_TEMPLATE("project_bound: an overlay's bound goes with it", Kind, support::ext4_quotas, support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk) return;
  const std::string box = *disk / "d/box";
  for (const std::string& each : {*disk / "d/layer", box}) REQUIRE(::mkdir(each.c_str(), 0755) == 0);
  const model::layers layers = {{std::nullopt, *disk / "d/layer"}};
  model::plan plan;
  const auto made = rootfs::overlay().provision({layers, box, {1 << 20}}, plan);
  REQUIRE_MESSAGE(made.ok(), std::string(message(made.status())));
  CHECK_FALSE(made->is_private);
  CHECK(made->writable == std::vector<std::string>{box + "/bounded/upper", box + "/bounded/work"});
  const auto upper = sys::open(made->writable.front(), O_RDONLY | O_DIRECTORY);
  REQUIRE(upper.ok());
  const std::uint32_t project = sys::project_of(upper->get());
  REQUIRE(project != 0);
  CHECK(sys::use_of_project(upper->get(), project)->limit.count == 1 << 20);
  CHECK(rootfs::overlay().destroy(box).value());
  CHECK(sys::use_of_project(upper->get(), project).value_or(sys::project_use{}).limit.count == 0);
  CHECK(::access(box.c_str(), F_OK) != 0);
}

TEST_CASE_TEMPLATE("project_bound: a copied root may grow by its bound, whatever it holds already", Kind,
                   support::ext4_quotas, support::xfs_quotas) {
  const auto disk = support::loop_disk::make<Kind>();
  if (!disk) return;
  const std::string layer = *disk / "d/layer";
  const std::string box = *disk / "d/box";
  for (const auto& each : {layer, box}) REQUIRE(::mkdir(each.c_str(), 0755) == 0);
  REQUIRE(::mkdir((layer + "/tmp").c_str(), 0700) == 0);
  REQUIRE(::chmod((layer + "/tmp").c_str(), 01777) == 0);
  REQUIRE(sys::write_all(sys::open(layer + "/big", O_WRONLY | O_CREAT, 0600)->get(), std::string(5 << 20, 'x')).ok());
  const model::layers layers = {{std::nullopt, layer}};
  model::plan plan;
  const auto made = rootfs::copy().provision({layers, box, {1 << 20}}, plan);
  REQUIRE_MESSAGE(made.ok(), std::string(message(made.status())));
  CHECK(write_as_user(box + "/root/tmp/a", 500'000) == "Success");
  CHECK(write_as_user(box + "/root/tmp/b", 900'000) == "full");
  CHECK(*rootfs::copy().destroy(box));
}

TEST_CASE("project_bound: where there are no project quotas a copy says what to do") {
  const support::temporary_directory place;
  CHECK_FALSE(rootfs::bound_by_project(place.path(), {1 << 20}).ok());
  CHECK_FALSE(rootfs::bound_growth(place.path(), {1 << 20}).ok());
  rootfs::lift_bound(place.path());
  REQUIRE(::mkdir((place / "layer").c_str(), 0700) == 0);
  const model::layers layers = {{std::nullopt, place / "layer"}};
  model::plan plan;
  const auto made = rootfs::unprivileged_copy().provision({layers, place.path(), {1 << 20}}, plan);
  CHECK(made.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message(made.status()).find("mount the file system with prjquota, or use the overlay backend") !=
        std::string_view::npos);
}
