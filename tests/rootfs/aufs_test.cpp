// SPDX-License-Identifier: Apache-2.0
// What the kernel is told is tested here and in launch/child_aufs_test.cpp; what it makes of it, where it has aufs.
#include <mortise/rootfs/aufs.hpp>

#include <doctest/doctest.h>
#include <conformance/merging_backend.hpp>
#include <conformance/rootfs_backend.hpp>
#include <mortise/rootfs/copy.hpp>

#include <string>

using conformance::file;
using conformance::scene;
using namespace mortise;
using rootfs::aufs;
using rootfs::read_only_aufs;

namespace conformance {
template <>
inline constexpr bool may_be_absent<aufs> = true;
template <>
inline constexpr bool may_be_absent<read_only_aufs> = true;
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, aufs, read_only_aufs);
// A copy of such layers needs no aufs, and shows that they are read as they are meant.
TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, aufs, read_only_aufs, rootfs::basic_copy<model::aufs_layers>);
}  // namespace conformance

TEST_CASE("aufs: a plan has its branches, top-most first") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  scene<aufs> s(place.path());
  s.layer({file("a")});
  s.layer({file("b")});
  const std::string box = s.new_box();
  model::plan plan;
  const auto made = s.try_provision(box, plan);
  REQUIRE_MESSAGE(made.ok(), std::string(message(made.status())));
  const auto& operations = plan.at(model::stage::root);
  REQUIRE(operations.size() == 2);
  const auto& create = std::get<model::op::new_aufs>(operations[0]);
  CHECK(create.lower == std::vector<std::string>{s.layers()[1].directory, s.layers()[0].directory});
  CHECK(create.upper == box + "/upper");
  CHECK(create.mount_point == box + "/root");
  CHECK(made->writable.front() == create.upper);
  CHECK(std::get<model::op::enter_root>(operations[1]).from == create.to);
  s.destroy(box);
  CHECK(s.problems() == "");
}

TEST_CASE("aufs: of more layers than it stacks the lowest are one, and an opaque root ends them") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  scene<read_only_aufs> s(place.path());
  for (int number = 0; number < 130; ++number)
    s.layer({file("n" + std::to_string(number)), number == 2 ? conformance::whiteout("n1") : file("x")});
  const std::string box = s.new_box();
  model::plan plan;
  REQUIRE(s.try_provision(box, plan).ok());
  const auto& create = std::get<model::op::new_aufs>(plan.at(model::stage::root)[0]);
  CHECK(create.lower.size() == 126);
  CHECK(create.lower.back() == box + "/merged");
  CHECK(create.upper.empty());
  CHECK(conformance::tree_text(box + "/merged") == "n0: \nn2: \nn3: \nn4: \nx: \n");
  s.destroy(box);
  s.layer({conformance::opaque("."), file("only")});
  model::plan shorter;
  REQUIRE(s.try_provision(s.new_box(), shorter).ok());
  CHECK(std::get<model::op::new_aufs>(shorter.at(model::stage::root)[0]).lower.size() == 1);
  CHECK(s.problems() == "");
}
