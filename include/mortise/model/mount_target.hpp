// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where in a container something of the user's may be mounted.

#include <mortise/base/status.hpp>
#include <string_view>

namespace mortise::model {

/// Fails with INVALID_ARGUMENT for a path that is not absolute, has "..", is "/", or lies in /proc or /sys.
inline absl::Status check_mount_target(std::string_view target) {
  const auto invalid = [](std::string_view what) { return error(absl::StatusCode::kInvalidArgument, what); };
  if (!target.starts_with('/')) return invalid("the target must be an absolute path in the container");
  std::string_view first;
  for (const std::string_view part : split(target, '/')) {
    if (part == "..") return invalid("the target must not contain '..'");
    if (first.empty() && part != ".") first = part;
  }
  if (first.empty()) return invalid("the target must not be the root itself");
  // A file in the place of /proc/self/attr or /proc/sys would feign what privileged set-up writes: CVE-2019-16884.
  if (first == "proc" || first == "sys") return invalid("nothing may be mounted over /proc or /sys");
  return absl::OkStatus();
}

}  // namespace mortise::model
