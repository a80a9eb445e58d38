// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/overlay.hpp>

#include <doctest/doctest.h>
#include <linux/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <conformance/merging_backend.hpp>
#include <conformance/rootfs_backend.hpp>

#include <support/deny.hpp>
#include <vector>

using conformance::play;
using conformance::scene;
using mortise::rootfs::overlay;
using mortise::rootfs::unprivileged_overlay;

namespace {

/// On each kernel's way of making an overlay the same root comes out, and the container can write to it, with no more
/// descriptors than processes usually have. `deny` takes the newer ways away.
template <class Backend, class Deny>
void works_without(scene<Backend>& s, Deny deny, const std::vector<int>& counts) {
  for (int number = 0; number < counts.back(); ++number) {
    s.layer({conformance::file("top", std::to_string(number))});
    if (std::find(counts.begin(), counts.end(), number + 1) == counts.end()) continue;
    const std::string box = s.new_box();
    const auto plan = s.provision(box);
    const auto seen = support::in_child({.namespaces = s.namespaces}, [&] {
      constexpr rlimit usual{1024, 1024};
      conformance::check(::setrlimit(RLIMIT_NOFILE, &usual) == 0, "limit descriptors");
      deny();
      s.enter_here(plan);
      conformance::write_file("/new", "written");
      return conformance::tree_text("/");
    });
    s.expect_same(seen.text, "new: written\ntop: " + std::to_string(number) + '\n', "the tree");
    s.expect(::access((box + "/upper/new").c_str(), F_OK) == 0, "what is written lies in the upper directory");
    s.destroy(box);
  }
}

/// The last way would make up for a newer one that is broken: where the kernel has one, it must do without.
void deny_mount_where_it_is_older() {
  if (support::overlays_take_single_layers()) support::deny_system_calls({SYS_mount}, EPERM);
}

template <class Backend>
void works_without_descriptors(scene<Backend>& s) {
  s.use_long_paths(250);
  const auto deny = [] {
    deny_mount_where_it_is_older();
    support::deny_fsconfig({FSCONFIG_SET_FD});
  };
  works_without(s, deny, {1, 2, 20, 500});
}
template <class Backend>
void works_with_mount_only(scene<Backend>& s) {
  s.use_long_paths(200);
  works_without(s, [] { support::deny_fsconfig({FSCONFIG_SET_FD, FSCONFIG_SET_STRING}); }, {1, 2, 20, 500});
}
template <class Backend>
void works_without_fsopen(scene<Backend>& s) {
  s.use_long_paths(200);
  works_without(s, [] { support::deny_system_calls({SYS_fsopen}, ENOSYS); }, {1, 500});
}
template <class Backend>
void works_by_strings(scene<Backend>& s) {
  works_without(s, deny_mount_where_it_is_older, {1, 500});
}
/// A string of fsconfig(2) holds 255 bytes: else layers are given by descriptor, and where that is not taken, by its
/// name.
template <class Backend>
void works_by_descriptors(scene<Backend>& s) {
  s.use_long_paths(250);
  works_without(s, deny_mount_where_it_is_older, {500});
}

template <class Backend>
void is_volatile(scene<Backend>& s) {
  s.layer({conformance::file("a")});
  const std::string box = s.new_box();
  const auto plan = s.provision(box);
  // The kernel's own mark of a volatile overlay, which only root may look at.
  const auto seen = support::in_child({.namespaces = s.namespaces}, [&] {
    const int work = ::open((box + "/work").c_str(), O_PATH | O_DIRECTORY);
    s.enter_here(plan);
    return ::faccessat(work, "work/incompat/volatile", F_OK, 0) == 0;
  });
  s.expect(seen.ok(), "the overlay is volatile");
  s.destroy(box);
}

template <class Backend>
void plans_two_operations(scene<Backend>& s) {
  using namespace mortise::model;
  s.layer({conformance::file("a")});
  s.layer({conformance::file("b")});
  const std::string box = s.new_box();
  plan planned;
  const auto made = s.try_provision(box, planned);
  conformance::check(made.ok(), "provision");
  const auto& operations = planned.at(stage::root);
  s.expect(operations.size() == 2, "two operations");
  const auto& create = std::get<op::new_overlay>(operations.at(0));
  const auto& enter = std::get<op::enter_root>(operations.at(1));
  s.expect(create.lower == std::vector<std::string>{s.layers()[1].directory, s.layers()[0].directory},
           "top-most first");
  s.expect(create.upper == box + "/upper" && create.work == box + "/work" && create.mount_point == box + "/root",
           "everything in the container's directory");
  s.expect(create.user_xattrs == !scene<Backend>::format::keeps_owners, "userxattr without privileges, and only then");
  s.expect(create.is_volatile, "volatile");
  s.expect(enter.from == create.to && enter.mount_point == create.mount_point, "the overlay is what is entered");
  s.expect(made->writable == std::vector<std::string>{create.upper, create.work}, "what is written is accounted");
}

/// Of more than the kernel stacks the lowest are one.
template <class Backend>
void merges_the_lowest_of_too_many_layers(scene<Backend>& s) {
  std::vector<std::string> lines = {"top: 599", "all/"};
  for (int number = 0; number < 600; ++number) {
    const std::string text = std::to_string(number);
    s.layer({conformance::file("top", text), conformance::file("all/" + text, text),
             number % 3 == 2 ? conformance::whiteout("all/" + std::to_string(number - 1)) : conformance::file("x")});
    if (number % 3 != 1) lines.push_back("all/" + text + ": " + text);
  }
  lines.emplace_back("x: ");
  s.expect_tree(lines);
}

template <class Backend>
void stacks_as_many_as_the_kernel(scene<Backend>& s) {
  for (int number = 0; number < 500; ++number) s.layer({conformance::file("top", std::to_string(number))});
  s.expect_tree({"top: 499"});
}

template <class Backend>
void shows_no_mark_of_an_only_layer(scene<Backend>& s) {
  s.layer({conformance::file("a"), conformance::whiteout("gone"), conformance::whiteout("d/gone")});
  s.expect_tree({"a: ", "d/"});
}

}  // namespace

namespace conformance {
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, overlay, unprivileged_overlay, mortise::rootfs::read_only_overlay,
                          mortise::rootfs::unprivileged_read_only_overlay);
TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, overlay, unprivileged_overlay, mortise::rootfs::read_only_overlay,
                          mortise::rootfs::unprivileged_read_only_overlay);
}  // namespace conformance

TEST_CASE_TEMPLATE("overlay", Backend, overlay, unprivileged_overlay) {
  SUBCASE("works by strings") { play<Backend>(works_by_strings); }
  SUBCASE("works by descriptors") { play<Backend>(works_by_descriptors); }
  SUBCASE("works where layers cannot be given by descriptor") { play<Backend>(works_without_descriptors); }
  SUBCASE("works where only mount(2) makes an overlay") { play<Backend>(works_with_mount_only); }
  SUBCASE("works where there is no fsopen(2)") { play<Backend>(works_without_fsopen); }
  SUBCASE("is volatile") { play<Backend>(is_volatile); }
  SUBCASE("plans two operations") { play<Backend>(plans_two_operations); }
  SUBCASE("merges the lowest of too many layers") { play<Backend>(merges_the_lowest_of_too_many_layers); }
  SUBCASE("stacks as many as the kernel") { play<Backend>(stacks_as_many_as_the_kernel); }
}

TEST_CASE_TEMPLATE("overlay: an only layer shows none of its whiteouts", Backend, overlay,
                   mortise::rootfs::read_only_overlay, mortise::rootfs::unprivileged_read_only_overlay) {
  play<Backend>(shows_no_mark_of_an_only_layer);
}
