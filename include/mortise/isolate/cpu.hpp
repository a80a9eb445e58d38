// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How much of the processors the container gets, at most and in proportion: the cgroup controller "cpu".

#include <algorithm>
#include <chrono>
#include <cmath>
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

/// Limits the processor time of all processes of the container together.
/// Effects: the container's cgroup in the cpu controller's hierarchy, if anything is asked for.
/// Fails with: INVALID_ARGUMENT for numbers out of range; what fact::cgroup says where there is no such controller.
/// Leaves behind: nothing that fact::cgroup does not remove.
struct cpu {
  static constexpr std::string_view name = "cpu";
  static constexpr unsigned version = 1;
  using needs = facts<fact::cgroup>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  /// The time in which a quota is used up and given anew: the kernel's default.
  static constexpr std::chrono::microseconds period{100'000};
  /// The kernel takes no quota below a millisecond.
  static constexpr double least_cpus = 0.01;
  /// More than Linux can be built for.
  static constexpr double most_cpus = 8192;
  static constexpr unsigned most_weight = 10'000;

  struct settings {
    std::optional<double> cpus;
    std::optional<unsigned> weight;
    bool operator==(const settings&) const = default;
  };
  struct held {
    std::optional<sys::cgroup_directory> directory;  ///< none if nothing was asked for
    std::optional<sys::cgroup_directory> unified;    ///< counts time in any case
  };

  /// At most the time of this many processors: 0.5 is half the time of one, 1.5 that of one and a half.
  static auto cpus(double count) {
    return change<cpu>([count](settings& all) { all.cpus = count; });
  }
  /// The share of a busy machine, against other cgroups beside it: 1 to 10000, where 100 is everybody's.
  static auto weight(unsigned share) {
    return change<cpu>([share](settings& all) { all.weight = share; });
  }

  /// Version 1 counts shares, of which everybody has 1024: the same proportions.
  static constexpr unsigned shares_of(unsigned weight) { return std::clamp(weight * 1024 / 100, 2U, 262'144U); }
  /// The weight for `docker run --cpu-shares`.
  static constexpr unsigned weight_of(unsigned shares) {
    return std::clamp(std::min(shares, 262'144U) * 100 / 1024, 1U, most_weight);
  }

  static absl::StatusOr<held> prepare(preparation<cpu>& with) {
    const settings& wanted = with.settings();
    const auto& cgroups = with.fact<fact::cgroup>();
    held mine;
    if (cgroups.unified() != nullptr) mine.unified = *cgroups.unified();
    if (wanted == settings{}) return mine;
    MORTISE_RETURN_IF_ERROR(check(wanted));
    MORTISE_ASSIGN_OR_RETURN(mine.directory, cgroups.controller("cpu"));
    MORTISE_RETURN_IF_ERROR(sys::write_controls(*mine.directory, controls(wanted, mine.directory->version)));
    return mine;
  }

  /// What the container has used and how often it was held back. To be read before its release, also after its end.
  struct usage {
    std::optional<std::chrono::microseconds>
        time;                               ///< nothing where version 1 counts it apart and there is no version 2
    std::uint64_t periods = 0;              ///< in which it ran, under a quota
    std::uint64_t throttled_periods = 0;    ///< in which it wanted more than its quota
    std::chrono::microseconds throttled{};  ///< for how long it waited, summed over processors
  };
  static absl::StatusOr<usage> read(const held& mine) {
    usage result;
    if (mine.directory) {
      MORTISE_ASSIGN_OR_RETURN(const auto text, sys::read_file(mine.directory->path + "/cpu.stat"));
      result = parse(text, mine.directory->version);
    }
    if (!result.time && mine.unified) {
      MORTISE_ASSIGN_OR_RETURN(const auto text, sys::read_file(mine.unified->path + "/cpu.stat"));
      result.time = parse(text, 2).time;
    }
    if (!result.time && mine.directory) {  // version 1 with the two controllers mounted as one
      MORTISE_ASSIGN_OR_RETURN(const auto nanoseconds, sys::find_number(*mine.directory, "cpuacct.usage"));
      if (nanoseconds) result.time = std::chrono::microseconds(static_cast<std::int64_t>(*nanoseconds / 1000));
    }
    return result;
  }

  /// The text of cpu.stat.
  static usage parse(std::string_view text, unsigned of_version) {
    const auto value = [text](std::string_view key) { return sys::find_value(text, key); };
    const auto microseconds = [](std::uint64_t count) {
      return std::chrono::microseconds(static_cast<std::int64_t>(count));
    };
    usage result;
    if (const auto used = value("usage_usec")) result.time = microseconds(*used);
    result.periods = value("nr_periods").value_or(0);
    result.throttled_periods = value("nr_throttled").value_or(0);
    result.throttled = microseconds(of_version == 1 ? value("throttled_time").value_or(0) / 1000
                                                    : value("throttled_usec").value_or(0));
    return result;
  }

  /// The settings as control files, in the order of writing.
  static std::vector<sys::cgroup_control> controls(const settings& wanted, unsigned of_version) {
    const bool v1 = of_version == 1;
    std::vector<sys::cgroup_control> files;
    if (wanted.cpus) {
      const auto quota = std::llround(*wanted.cpus * static_cast<double>(period.count()));
      // In version 1 the period is a file of its own, which says 100000 in every new cgroup.
      files.push_back(v1 ? sys::cgroup_control{"cpu.cfs_quota_us", std::to_string(quota)}
                         : sys::cgroup_control{"cpu.max", concat(quota, ' ', period.count())});
    }
    if (wanted.weight)
      files.push_back(v1 ? sys::cgroup_control{"cpu.shares", std::to_string(shares_of(*wanted.weight))}
                         : sys::cgroup_control{"cpu.weight", std::to_string(*wanted.weight)});
    return files;
  }

  static absl::Status check(const settings& wanted) {
    // Written so that what is not a number fails too.
    if (wanted.cpus && !(*wanted.cpus >= least_cpus && *wanted.cpus <= most_cpus)) {
      return error(absl::StatusCode::kInvalidArgument,
                   concat("limit processors to ", std::to_string(*wanted.cpus), ": it takes 0.01 to 8192"));
    }
    if (wanted.weight && (*wanted.weight < 1 || *wanted.weight > most_weight)) {
      return error(absl::StatusCode::kInvalidArgument,
                   concat("set processor weight ", *wanted.weight, ": it takes 1 to ", most_weight,
                          ", where 100 is everybody's"));
    }
    return absl::OkStatus();
  }
};

static_assert(isolator<cpu>);

}  // namespace mortise::isolate
