// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// As many layers as a kernel stacks: of more, the lowest are merged into one, and where they are too few one is added.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/merged_copy.hpp>
#include <string>
#include <vector>

namespace mortise::rootfs {

/// OVL_MAX_STACK of fs/overlayfs.
inline constexpr std::size_t most_overlay_layers = 500;
/// An overlay without an upper directory stacks two at least: a mere clone of an only layer would show its whiteouts.
inline constexpr std::size_t least_read_only_layers = 2;

/// The layers' directories that a container sees, top-most first, at most `most` (two or more) and, by an empty one at
/// the bottom, at least `least` (one or two).
/// Fails with what merging fails with. Leaves behind: `merged` or `empty` in the container's directory where that was
/// needed.
template <class Format>
absl::StatusOr<std::vector<std::string>> stackable_layers(const request& what, std::size_t most,
                                                          std::size_t least = 1) {
  MORTISE_ASSIGN_OR_RETURN(auto lower, visible_layers<Format>(what.layers));
  if (lower.size() < least) {
    lower.push_back(what.directory + "/empty");
    MORTISE_RETURN_IF_ERROR(make_directory(lower.back()));
  }
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
