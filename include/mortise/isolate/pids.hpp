// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A limit on the number of the container's processes and threads: the cgroup controller "pids".

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/sys/cgroupfs.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::isolate {

/// Limits how many processes and threads the container has at once: at the limit its fork(2) fails with EAGAIN.
/// Effects: the container's cgroup in the pids controller's hierarchy, if a limit is asked for.
/// Fails with: INVALID_ARGUMENT for a number out of range; what fact::cgroup says where there is no such controller.
/// Leaves behind: nothing that fact::cgroup does not remove.
struct pids {
  static constexpr std::string_view name = "pids";
  static constexpr unsigned version = 1;
  using needs = facts<fact::cgroup>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  /// As many as Linux can number.
  static constexpr std::uint64_t most = 4'194'304;

  struct settings {
    std::optional<std::uint64_t> limit;
  };
  struct held {
    std::optional<sys::cgroup_directory> directory;  ///< none if nothing was asked for
  };

  /// At most this many processes and threads, the first one counted.
  static auto limit(std::uint64_t count) {
    return change<pids>([count](settings& all) { all.limit = count; });
  }

  static absl::StatusOr<held> prepare(preparation<pids>& with) {
    const settings& wanted = with.settings();
    if (!wanted.limit) return held{};
    MORTISE_RETURN_IF_ERROR(check(wanted));
    MORTISE_ASSIGN_OR_RETURN(const sys::cgroup_directory directory, with.fact<fact::cgroup>().controller("pids"));
    MORTISE_RETURN_IF_ERROR(sys::write_controls(directory, controls(wanted)));
    return held{directory};
  }

  /// To be read before the container's release, also after its end.
  struct usage {
    std::uint64_t current = 0;
    std::optional<std::uint64_t> peak;  ///< nothing on older kernels
    std::uint64_t refused = 0;          ///< forks that failed at the limit
  };
  /// Fails with FAILED_PRECONDITION if no limit was given: nothing counts then.
  static absl::StatusOr<usage> read(const held& mine) {
    if (!mine.directory) {
      return error(absl::StatusCode::kFailedPrecondition,
                   "read number of processes: nothing counts it (give the container a limit)");
    }
    usage result;
    MORTISE_ASSIGN_OR_RETURN(result.current, sys::read_number(*mine.directory, "pids.current"));
    MORTISE_ASSIGN_OR_RETURN(result.peak, sys::find_number(*mine.directory, "pids.peak"));
    MORTISE_ASSIGN_OR_RETURN(const auto events, sys::read_file(mine.directory->path + "/pids.events"));
    result.refused = sys::find_value(events, "max").value_or(0);
    return result;
  }

  /// The limit as a control file, the same in both versions.
  static std::vector<sys::cgroup_control> controls(const settings& wanted) {
    return {{"pids.max", std::to_string(*wanted.limit)}};
  }

  static absl::Status check(const settings& wanted) {
    if (*wanted.limit >= 1 && *wanted.limit <= most) return absl::OkStatus();
    return error(absl::StatusCode::kInvalidArgument,
                 concat("limit processes to ", *wanted.limit, ": it takes 1 to ", most));
  }
};

static_assert(isolator<pids>);

}  // namespace mortise::isolate
