// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The ids of a container in a user namespace of its own: user_namespaces(7), "User and group ID mappings".

#include <compare>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <string>

namespace mortise::model {

/// The container's users and groups 0, 1, … are the host's `first`, `first` + 1, …; others it does not have.
struct id_range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  auto operator<=>(const id_range&) const = default;
};

/// The largest id is not one: to the kernel it means "no change".
inline absl::Status check_id_range(id_range what) {
  if (what.count == 0) return error(absl::StatusCode::kInvalidArgument, "map ids: there must be one at least");
  if (what.count <= 0xffffffffU - what.first) return absl::OkStatus();
  return error(absl::StatusCode::kInvalidArgument,
               concat("map ids: ", what.count, " from ", what.first, " on are more than there are"));
}

/// A line of /proc/PID/uid_map or gid_map.
inline std::string id_map_text(id_range what) { return concat("0 ", what.first, ' ', what.count, '\n'); }

}  // namespace mortise::model
