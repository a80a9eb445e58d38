// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A piece of a file's data.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mortise::archive {

/// Where a piece belongs in its file, and its bytes; what lies between pieces is a hole.
struct extent {
  std::uint64_t offset = 0;
  std::span<const std::byte> bytes;  ///< valid until the next piece is asked for; empty at the end of the file
};

}  // namespace mortise::archive
