// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A root that a backend has prepared: what the container may write, and where.

#include <string>
#include <vector>

namespace mortise::model {

struct rootfs {
  /// Host directories that hold what the container writes, for accounting; none if the root is read-only.
  std::vector<std::string> writable;
  /// They lie in a file system that only the container sees, and that holds nothing else.
  bool is_private = false;
};

}  // namespace mortise::model
