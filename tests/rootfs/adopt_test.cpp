// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/adopt.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <variant>

using namespace mortise;

TEST_CASE("adopt: the child is told the tree, which stays open as long as the plan" *
          doctest::test_suite("unprivileged")) {
  auto tree = std::make_shared<const sys::unique_fd>(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int number = tree->get();
  {
    model::plan plan;
    const model::slot first = rootfs::adopt(tree, plan);
    CHECK(rootfs::adopt(tree, plan) != first);
    tree.reset();
    const auto& taken = std::get<model::op::adopt_tree>(plan.at(model::stage::root).at(0));
    CHECK(taken.from == number);
    CHECK(taken.to == first);
    CHECK(::fcntl(number, F_GETFD) >= 0);
  }
  CHECK(::fcntl(number, F_GETFD) < 0);
}
