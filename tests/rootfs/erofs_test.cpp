// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/erofs.hpp>

#include <doctest/doctest.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include <conformance/merging_backend.hpp>
#include <conformance/packed_layers.hpp>
#include <conformance/rootfs_backend.hpp>
#include <rootfs/smallest_image.hpp>
#include <string>
#include <support/deny.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;

namespace {

/// Through loop devices, as on kernels before 6.12.
using erofs_by_loop = rootfs::basic_erofs<rootfs::access::read_write, rootfs::erofs_way::loop>;

/// Before Linux 6.15 a layer has to be attached; the image's mount, which others use, stays what it is.
template <class Deny>
void works_without(conformance::scene<rootfs::erofs>& s, Deny deny) {
  s.layer({conformance::file("a", "below"), conformance::file("b")});
  for (int turn = 0; turn < 2; ++turn) {
    const std::string box = s.new_box();
    const auto plan = s.provision(box);
    const auto seen = support::in_child({.namespaces = s.namespaces}, [&] {
      deny();
      s.enter_here(plan);
      conformance::write_file("/a", "above");
      return conformance::tree_text("/");
    });
    s.expect_same(seen.text, "a: above\nb: \n", "the tree");
    s.destroy(box);
  }
}

}  // namespace

TEST_CASE("erofs: its overlay is made on older kernels too") {
  if (support::missing_root() || support::missing_erofs()) return;
  SUBCASE("from a layer's number as a name") {
    conformance::play<rootfs::erofs>(
        [](auto& s) { works_without(s, [] { support::deny_fsconfig({FSCONFIG_SET_FD}); }); });
  }
  SUBCASE("by mount(2)") {
    conformance::play<rootfs::erofs>(
        [](auto& s) { works_without(s, [] { support::deny_fsconfig({FSCONFIG_SET_FD, FSCONFIG_SET_STRING}); }); });
  }
  SUBCASE("where there is no fsopen(2)") {
    conformance::play<rootfs::erofs>(
        [](auto& s) { works_without(s, [] { support::deny_system_calls({SYS_fsopen}, ENOSYS); }); });
  }
}

TEST_CASE("erofs: where no overlay can be, only its read-only form works") {
  if (support::missing_root() || support::missing_erofs()) return;
  const support::temporary_directory place;
  const auto said = support::in_child({.namespaces = CLONE_NEWNS}, [&]() -> std::string {
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("ramfs", place.path().c_str(), "ramfs", 0, nullptr) != 0) return "cannot mount";
    return concat(message(rootfs::erofs().probe(place.path())), '\n',
                  message(rootfs::read_only_erofs().probe(place.path())));
  });
  CHECK_MESSAGE(said.text.starts_with("erofs in '" + place.path() + "': set 'trusted.overlay.opaque': "), said.text);
  CHECK_MESSAGE(said.text.ends_with("such attributes)\n"), said.text);
}

TEST_CASE_TEMPLATE_INVOKE(conformance::rootfs_backend_suite, rootfs::erofs, erofs_by_loop, rootfs::read_only_erofs);
TEST_CASE_TEMPLATE_INVOKE(conformance::merging_backend_suite, rootfs::erofs, rootfs::read_only_erofs);
