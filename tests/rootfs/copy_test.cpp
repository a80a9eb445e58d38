// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/copy.hpp>

#include <doctest/doctest.h>
#include <conformance/merging_backend.hpp>
#include <conformance/rootfs_backend.hpp>
#include <support/temporary.hpp>

using conformance::play;
using conformance::scene;
using mortise::rootfs::copy;
using mortise::rootfs::unprivileged_copy;

namespace {

/// On a full file system the error says which file did not fit, and destroy takes what had been copied.
void fails_on_a_full_disk(scene<copy>& s, const support::temporary_tmpfs& small, const std::string& wanted) {
  const std::string box = small / "box";
  conformance::check(::mkdir(box.c_str(), 0700) == 0, "make box");
  mortise::model::plan plan;
  const auto made = s.try_provision(box, plan);
  s.expect(mortise::errno_of(made.status()) == ENOSPC, "the disk is full");
  const std::string text(mortise::message(made.status()));
  s.expect(text.starts_with(wanted) && text.ends_with(": No space left on device"), "a clear message: " + text);
  s.expect(plan.at(mortise::model::stage::root).empty(), "nothing is planned");
  s.destroy(box);
}

void runs_out_of_bytes(scene<copy>& s) {
  const support::temporary_tmpfs small(256 << 10);
  s.layer({conformance::file("d/big", std::string(1 << 20, 'x'))});
  fails_on_a_full_disk(s, small, "provision copy: copy 'd/big' of layer '" + s.layers()[0].directory + "': write");
}

void runs_out_of_inodes(scene<copy>& s) {
  const support::temporary_tmpfs small(1 << 20, 20);
  std::vector<conformance::entry> many;
  for (int number = 0; number < 40; ++number) many.push_back(conformance::file("f" + std::to_string(number)));
  s.layer(many);
  fails_on_a_full_disk(s, small, "provision copy: copy 'f");
}

template <class Backend>
void plans_a_clone_of_the_copy(scene<Backend>& s) {
  using namespace mortise::model;
  s.layer({conformance::file("a")});
  const std::string box = s.new_box();
  plan planned;
  const auto made = s.try_provision(box, planned);
  conformance::check(made.ok(), "provision");
  s.expect(planned.at(stage::host).empty() && planned.at(stage::root).size() == 2, "two operations, after the host's");
  const auto& clone = std::get<op::clone_tree>(planned.at(stage::root).at(0));
  const auto& enter = std::get<op::enter_root>(planned.at(stage::root).at(1));
  s.expect(clone.source == box + "/root" && clone.flags == 0, "the copy, writable");
  s.expect(enter.from == clone.to && enter.mount_point == box + "/root", "entered");
  s.expect(made->writable == std::vector<std::string>{box + "/root"}, "what is written is accounted");
}

}  // namespace

namespace conformance {
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, copy, unprivileged_copy);
TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, copy, unprivileged_copy);
}  // namespace conformance

TEST_CASE("copy: says when the disk is full of bytes") { play<copy>(runs_out_of_bytes); }
TEST_CASE("copy: says when the disk is full of inodes") { play<copy>(runs_out_of_inodes); }
TEST_CASE_TEMPLATE("copy: plans a clone of the copy", Backend, copy, unprivileged_copy) {
  play<Backend>(plans_a_clone_of_the_copy);
}
