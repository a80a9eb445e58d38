// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Resource limits of the container's processes: setrlimit(2).

#include <sys/resource.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/plan.hpp>
#include <string_view>
#include <vector>

namespace mortise::isolate {

/// Effects: the limits given hold from the container's first instruction; the others are the caller's.
/// Fails with: INVALID_ARGUMENT for a soft limit above the hard one or one resource given twice;
/// PERMISSION_DENIED at launch for a hard limit above the caller's, without CAP_SYS_RESOURCE.
struct rlimits {
  static constexpr std::string_view name = "rlimits";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  static constexpr std::uint64_t unlimited = RLIM_INFINITY;
  struct limit {
    int resource;  ///< RLIMIT_NOFILE and so on
    std::uint64_t soft;
    std::uint64_t hard;
  };
  struct settings {
    std::vector<limit> limits;
  };

  /// Sets RLIMIT_`resource`.
  static auto set(int resource, std::uint64_t soft, std::uint64_t hard) {
    return change<rlimits>([=](settings& all) { all.limits.push_back({resource, soft, hard}); });
  }

  static absl::Status prepare(preparation<rlimits>& with) {
    std::uint64_t seen = 0;
    for (const limit& each : with.settings().limits) {
      const auto refuse = [&](std::string_view why) {
        return error(absl::StatusCode::kInvalidArgument, concat("set resource limit ", each.resource, ": ", why));
      };
      if (each.resource < 0 || each.resource >= static_cast<int>(RLIM_NLIMITS)) return refuse("no such resource");
      if (each.soft > each.hard) return refuse("the soft limit is above the hard one");
      if ((seen >> each.resource & 1) != 0) return refuse("it is given twice");
      seen |= std::uint64_t{1} << each.resource;
      with.plan().add(model::stage::limits, model::op::set_limit{each.resource, each.soft, each.hard});
    }
    return absl::OkStatus();
  }
};

static_assert(isolator<rlimits>);

}  // namespace mortise::isolate
