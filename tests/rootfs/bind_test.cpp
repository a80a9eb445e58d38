// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/bind.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <conformance/rootfs_backend.hpp>

namespace rootfs = mortise::rootfs;  // `bind` alone is also a system call's name
using conformance::play;
using conformance::scene;

namespace {

template <class Backend>
void takes_exactly_one_layer(scene<Backend>& s) {
  const std::string box = s.new_box();
  mortise::model::plan plan;
  const auto none = s.try_provision(box, plan);
  s.expect(none.status().code() == absl::StatusCode::kInvalidArgument, "no layer is INVALID_ARGUMENT");
  s.layer({conformance::file("a")});
  s.repeat_layer(0);
  s.layer({conformance::file("b")});
  const auto two = s.try_provision(box, plan);
  s.expect(two.status().code() == absl::StatusCode::kInvalidArgument, "two layers are INVALID_ARGUMENT");
  s.expect_same(
      std::string(mortise::message(two.status())),
      "provision bind: the image has 2 layers, and a bind shows exactly one: use the overlay or the copy backend",
      "the message");
  s.destroy(box);
}

template <class Backend>
void shows_the_same_layer_twice_as_one(scene<Backend>& s) {
  s.layer({conformance::file("a", "1")});
  s.repeat_layer(0);
  s.expect_tree({"a: 1"});
}

/// What is mounted below the layer is as read-only as the layer.
void is_read_only_all_the_way_down(scene<rootfs::bind>& s) {
  s.layer({conformance::directory("mounted")});
  const std::string where = s.layers().front().directory + "/mounted";
  conformance::check(::mount("tmpfs", where.c_str(), "tmpfs", 0, "mode=0777") == 0, "mount tmpfs");
  const auto seen = s.enter(s.provision(s.new_box()), [] {
    const bool inner = ::mkdir("/mounted/x", 0755) != 0 && errno == EROFS;
    const bool outer = ::mkdir("/x", 0755) != 0 && errno == EROFS;
    return inner && outer;
  });
  s.expect(seen.ok(), "nothing can be written");
  s.expect(::mkdir((where + "/x").c_str(), 0755) == 0, "the host's own mount stays as it was");
  ::umount2(where.c_str(), MNT_DETACH);
}

/// A missing directory cannot be made for a mount, and the launch says so by errno.
template <class Backend>
void cannot_make_a_mount_point(scene<Backend>& s) {
  s.layer({conformance::directory("there")});
  auto plan = s.provision(s.new_box());
  const auto tree = plan.new_slot();
  plan.add(mortise::model::stage::root, mortise::model::op::new_filesystem{"tmpfs", tree, {}, 0});
  plan.add(mortise::model::stage::root, mortise::model::op::attach{tree, {mortise::model::slot::root, "missing"}});
  const auto seen = s.enter(plan, [] { return 0; });
  s.expect_same(seen.text, "make directory: Read-only file system ", "the failure");
}

}  // namespace

namespace conformance {
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, rootfs::bind, rootfs::unprivileged_bind);
}  // namespace conformance

TEST_CASE_TEMPLATE("bind", Backend, rootfs::bind, rootfs::unprivileged_bind) {
  SUBCASE("takes exactly one layer") { play<Backend>(takes_exactly_one_layer); }
  SUBCASE("shows the same layer twice as one") { play<Backend>(shows_the_same_layer_twice_as_one); }
  SUBCASE("cannot make a mount point") { play<Backend>(cannot_make_a_mount_point); }
}
TEST_CASE("bind: is read-only all the way down") { play<rootfs::bind>(is_read_only_all_the_way_down); }
