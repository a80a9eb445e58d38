// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// As many layers as a kernel stacks: of more, the lowest are merged into one.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/merged_copy.hpp>
#include <string>
#include <vector>

namespace mortise::rootfs {

/// The layers' directories that a container sees, top-most first and at most `most`, which is two at least.
/// Fails with what merging fails with. Leaves behind: `merged` in the container's directory where that was needed.
template <class Format>
absl::StatusOr<std::vector<std::string>> stackable_layers(const request& what, std::size_t most) {
  MORTISE_ASSIGN_OR_RETURN(auto lower, visible_layers<Format>(what.layers));
  if (lower.size() <= most) return lower;
  // What the lowest delete shows nowhere, and what they hide they hide from each other.
  const std::vector<std::string> lowest(lower.begin() + static_cast<std::ptrdiff_t>(most - 1), lower.end());
  lower.resize(most - 1);
  lower.push_back(what.directory + "/merged");
  MORTISE_RETURN_IF_ERROR(make_directory(lower.back()));
  MORTISE_RETURN_IF_ERROR(
      annotate(merged_copy<Format>::run(lowest, lower.back()), concat("merge the lowest ", lowest.size(), " layers")));
  return lower;
}

}  // namespace mortise::rootfs
