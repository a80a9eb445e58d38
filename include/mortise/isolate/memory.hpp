// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A limit on the container's memory, with swap and a soft limit beside it: the cgroup controller "memory".

#include <cerrno>
#include <cstdint>
#include <limits>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/sys/cgroupfs.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::isolate {

/// Limits the memory that all processes of the container use together, page cache included. At the limit the
/// kernel first takes cache back, then kills a process of the container.
/// Effects: the container's cgroup in the memory controller's hierarchy, if anything is asked for.
/// Fails with: INVALID_ARGUMENT for sizes out of range; what fact::cgroup says where there is no such controller.
/// Leaves behind: nothing that fact::cgroup does not remove.
struct memory {
  static constexpr std::string_view name = "memory";
  static constexpr unsigned version = 1;
  using needs = facts<fact::cgroup>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  /// The least limit: below it not even a static program can be started.
  static constexpr bytes least_limit = 1_MiB;

  struct settings {
    std::optional<bytes> limit;
    std::optional<bytes> swap;
    std::optional<bytes> reservation;
    bool operator==(const settings&) const = default;
  };
  struct held {
    std::optional<sys::cgroup_directory> directory;  ///< none if nothing was asked for
  };

  /// At most this much memory. Without `swap` the container then gets no swap at all, where the kernel can say so.
  static auto limit(bytes size) {
    return change<memory>([size](settings& all) { all.limit = size; });
  }
  /// At most this much memory and swap together, as `docker run --memory-swap`: not below the limit, which it needs.
  static auto swap(bytes memory_and_swap) {
    return change<memory>([memory_and_swap](settings& all) { all.swap = memory_and_swap; });
  }
  /// When the host runs short, memory above this is taken back first; this much is spared as long as possible.
  static auto reservation(bytes size) {
    return change<memory>([size](settings& all) { all.reservation = size; });
  }

  static absl::StatusOr<held> prepare(preparation<memory>& with) {
    const settings& wanted = with.settings();
    if (wanted == settings{}) return held{};
    MORTISE_RETURN_IF_ERROR(check(wanted));
    MORTISE_ASSIGN_OR_RETURN(const sys::cgroup_directory directory, with.fact<fact::cgroup>().controller("memory"));
    absl::Status done = sys::write_controls(directory, controls(wanted, directory.version));
    if (done.ok()) return held{directory};
    if (errno_of(done) != ENOENT || !wanted.swap) return done;
    return errno_error(ENOENT, concat("limit memory and swap to ", wanted.swap->count, " B"),
                       "this kernel does not account swap: boot with swapaccount=1, or ask for no swap");
  }

  /// What the container uses, and whether it ran out of memory. To be read before its release, also after its end.
  struct usage {
    bytes current;
    std::optional<bytes> peak;              ///< nothing in version 2 before Linux 5.19
    std::uint64_t out_of_memory_kills = 0;  ///< processes of the container that the kernel killed for memory
  };
  /// Fails with FAILED_PRECONDITION if no setting was given: nothing counts then.
  static absl::StatusOr<usage> read(const held& mine) {
    if (!mine.directory) {
      return error(absl::StatusCode::kFailedPrecondition,
                   "read memory usage: nothing counts it (give the container a limit)");
    }
    const bool v1 = mine.directory->version == 1;
    MORTISE_ASSIGN_OR_RETURN(const auto current,
                             sys::read_number(*mine.directory, v1 ? "memory.usage_in_bytes" : "memory.current"));
    MORTISE_ASSIGN_OR_RETURN(const auto peak,
                             sys::find_number(*mine.directory, v1 ? "memory.max_usage_in_bytes" : "memory.peak"));
    MORTISE_ASSIGN_OR_RETURN(const auto events,
                             sys::read_file(mine.directory->path + (v1 ? "/memory.oom_control" : "/memory.events")));
    usage result{{current}, std::nullopt, sys::find_value(events, "oom_kill").value_or(0)};
    if (peak) result.peak = bytes{*peak};
    return result;
  }

  /// The settings as control files, in the order in which the kernel takes them: version 1 refuses a limit of
  /// memory and swap that is below the one of memory.
  static std::vector<sys::cgroup_control> controls(const settings& wanted, unsigned of_version) {
    const bool v1 = of_version == 1;
    std::vector<sys::cgroup_control> files;
    const auto add = [&files](const char* file, std::uint64_t value, bool optional = false) {
      files.push_back({file, std::to_string(value), optional});
    };
    if (wanted.limit) {
      const std::uint64_t limit = wanted.limit->count;
      const std::uint64_t both = wanted.swap.value_or(*wanted.limit).count;
      add(v1 ? "memory.limit_in_bytes" : "memory.max", limit);
      // A kernel that does not account swap lacks the file: fatal only if swap was asked for.
      add(v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max", v1 ? both : both - limit, !wanted.swap);
    }
    if (wanted.reservation) add(v1 ? "memory.soft_limit_in_bytes" : "memory.low", wanted.reservation->count);
    return files;
  }

  static absl::Status check(const settings& wanted) {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    for (const auto& each : {wanted.limit, wanted.swap, wanted.reservation}) {
      if (each && each->count > most) return bad(*each, "it is more than any machine has");
    }
    if (wanted.limit && *wanted.limit < least_limit)
      return bad(*wanted.limit, concat("the least is ", least_limit.count, " B"));
    if (wanted.swap && !wanted.limit)
      return bad(*wanted.swap, "a limit of memory and swap needs one of memory too: add memory::limit");
    if (wanted.swap && *wanted.swap < *wanted.limit) {
      return bad(*wanted.swap,
                 concat("memory and swap together cannot be less than the ", wanted.limit->count, " B of memory"));
    }
    if (wanted.limit && wanted.reservation && *wanted.reservation > *wanted.limit) {
      return bad(*wanted.reservation,
                 concat("a reservation cannot be more than the limit of ", wanted.limit->count, " B"));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status bad(bytes size, std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("limit memory to ", size.count, " B: ", why));
  }
};

static_assert(isolator<memory>);

}  // namespace mortise::isolate
