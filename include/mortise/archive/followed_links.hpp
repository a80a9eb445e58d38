// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How many symbolic links of lower layers lead to a layer's entries.

#include <cstdint>
#include <mortise/base/status.hpp>

namespace mortise::archive {

/// For one layer. A link may lead from one deep directory to another, which costs thousands of times what its entry
/// does: any entry may be led by forty, as the kernel has it, but not all of them.
class followed_links {
 public:
  /// On the way to another directory.
  void begin() { here_ = 0; }

  /// One more, of a layer that has had so many entries.
  /// Fails with: INVALID_ARGUMENT on one way, RESOURCE_EXHAUSTED for the layer.
  absl::Status count(std::uint64_t entries) {
    if (++here_ > 40) return error(absl::StatusCode::kInvalidArgument, "too many symbolic links lead to it");
    if (++all_ <= most_at_once + 4 * entries) return absl::OkStatus();
    return error(absl::StatusCode::kResourceExhausted, "too many symbolic links lead to it and to the entries before");
  }

 private:
  static constexpr std::uint64_t most_at_once = 20'000;

  unsigned here_ = 0;
  std::uint64_t all_ = 0;
};

}  // namespace mortise::archive
