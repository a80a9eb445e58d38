// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Handing a mount that the parent has made over to the child.

#include <memory>
#include <mortise/model/plan.hpp>
#include <mortise/sys/fd.hpp>
#include <utility>

namespace mortise::rootfs {

/// The slot in which the child has a detached tree from stage::root on. The tree stays open as long as the plan.
inline model::slot adopt(std::shared_ptr<const sys::unique_fd> tree, model::plan& plan) {
  const model::slot out = plan.new_slot();
  plan.add(model::stage::root, model::op::adopt_tree{tree->get(), out});
  plan.keep(std::move(tree));
  return out;
}

}  // namespace mortise::rootfs
