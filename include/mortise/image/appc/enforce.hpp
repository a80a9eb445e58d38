// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// From an Appc image's isolators to what a runtime is to do about them: enforcement.hpp. Needs: RapidJSON.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/image/appc/enforcement.hpp>
#include <mortise/image/appc/isolator.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/model/capability.hpp>
#include <mortise/model/image_config.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::appc {

namespace detail {

/// Goes through an app's isolators.
class enforcer {
 public:
  explicit enforcer(const runtime_abilities& can) : can_(can) {}

  /// Of several of one name the last decides.
  absl::Status take(const isolator& each, bool is_last) {
    name_ = each.name.text();
    if (name_ == "os/linux/selinux-context" || name_ == "os/linux/apparmor-profile")
      return error(absl::StatusCode::kFailedPrecondition,
                   concat("enforce isolator '", name_, "': mandatory access control is not available"));
    if (is_last || std::holds_alternative<unknown_isolator>(each.value))
      std::visit([this](const auto& value) { enforce(value); }, each.value);
    else
      report(verdict::adjusted, "a later one of its name decides");
    return absl::OkStatus();
  }

  /// What else an app may wish for and does not get.
  void take_rest(const app& of) {
    const auto ignore = [this](std::string_view what, std::string_view why) {
      name_ = concat("app/", what);
      report(verdict::ignored, why);
    };
    if (!of.event_handlers.empty()) ignore("eventHandlers", "nothing is run before or after the app");
    if (!of.supplementary_gids.empty()) ignore("supplementaryGIDs", "its groups are those of its user");
  }

  enforcement finish() { return std::move(out_); }

 private:
  void report(verdict what, std::string_view why = {}) { out_.reports.push_back({name_, what, std::string(why)}); }

  void enforce(const unknown_isolator& /*value*/) { report(verdict::ignored, "it is not known"); }
  void enforce(const sysctl_values& /*value*/) { report(verdict::ignored, "kernel parameters are not changed"); }
  void enforce(const selinux_context& /*value*/) {}  // refused before
  void enforce(const oom_score_adj& /*value*/) { report(verdict::ignored, "the score stays its caller's"); }

  void enforce(const no_new_privileges& value) {
    if (value.on) return report(verdict::enforced);
    report(verdict::adjusted, "new privileges are always forbidden");
  }

  void enforce(const cpu_shares& value) {
    out_.cpu_shares = value.value;
    report(verdict::enforced);
  }

  void enforce(const seccomp_set& value) {
    const std::string_view all = name_ == "os/linux/seccomp-retain-set" ? "@appc.io/all" : "@appc.io/empty";
    const bool unfiltered = std::find(value.names.begin(), value.names.end(), all) != value.names.end();
    if (unfiltered) return report(verdict::enforced, "it asks for no filter");
    report(verdict::ignored, "system calls are not filtered by an image's wish");
  }

  void enforce(const resource_bounds& value) {
    if (name_ == "resource/memory") return enforce_memory(value);
    if (name_ == "resource/cpu") return enforce_cpu(value);
    report(verdict::ignored, "neither bandwidths nor input and output are limited");
  }

  /// A request says what the app is sure to get. Nobody is, so where it is less than the limit it becomes a preference.
  static bool has_own_request(const resource_bounds& value) {
    return value.request && (!value.limit || *value.request < *value.limit);
  }

  void enforce_memory(const resource_bounds& value) {
    std::string why;
    if (value.limit) {
      out_.memory = bytes{value.limit->whole + (value.limit->thousandths > 0 ? 1 : 0)};
      if (out_.memory->count < can_.least_memory.count) {
        out_.memory = can_.least_memory;
        why = concat("no program runs with less than ", to_text(can_.least_memory));
      }
    }
    if (has_own_request(value)) {
      out_.memory_reservation = bytes{value.request->whole};
      append(why, why.empty() ? "" : "; ", "the request is spared when memory is short, and guarantees nothing");
    }
    report(why.empty() ? verdict::enforced : verdict::adjusted, why);
  }

  static double number(const quantity& of) { return static_cast<double>(of.whole) + of.thousandths / 1000.0; }

  void enforce_cpu(const resource_bounds& value) {
    constexpr double shares_of_a_processor = 1024;
    constexpr double most_shares = 262'144;
    std::string why;
    if (value.limit) {
      out_.cpus = std::max(number(*value.limit), can_.least_cpus);
      if (number(*value.limit) < can_.least_cpus) why = "the kernel counts no less than a hundredth of a processor";
    }
    if (has_own_request(value)) {
      const double shares = std::clamp(number(*value.request) * shares_of_a_processor, 2.0, most_shares);
      if (!out_.cpu_shares) out_.cpu_shares = static_cast<std::uint32_t>(std::lround(shares));
      append(why, why.empty() ? "" : "; ", "the request is its share of a busy machine, and guarantees nothing");
    }
    report(why.empty() ? verdict::enforced : verdict::adjusted, why);
  }

  void enforce(const capability_set& value) {
    std::uint64_t named = 0;
    std::vector<std::string_view> refused;
    const bool retain = name_ == "os/linux/capabilities-retain-set";
    for (const std::string& each : value.names) {
      const auto number = model::capability_number(each);
      const std::uint64_t bit = number ? std::uint64_t{1} << *number : 0;
      named |= bit;
      if (retain && (bit & can_.capabilities) == 0) refused.emplace_back(each);
    }
    out_.capabilities = retain ? can_.capabilities & named : can_.capabilities & ~named;
    if (refused.empty()) return report(verdict::enforced);
    if (refused.size() > 8) refused.resize(8);
    report(verdict::adjusted, concat("an image is not given more than its caller grants: ", join(refused, ", ")));
  }

  const runtime_abilities& can_;
  std::string name_;
  enforcement out_;
};

}  // namespace detail

/// What an app is held to by a runtime that can do what `can` says. One report for each isolator, in its order.
/// Fails with FAILED_PRECONDITION for an SELinux context or AppArmor profile, which must not be passed over.
inline absl::StatusOr<enforcement> enforce(const app& of, const runtime_abilities& can) {
  detail::enforcer all(can);
  for (auto each = of.isolators.begin(); each != of.isolators.end(); ++each) {
    const auto is_same = [each](const isolator& other) { return other.name == each->name; };
    MORTISE_RETURN_IF_ERROR(all.take(*each, std::none_of(each + 1, of.isolators.end(), is_same)));
  }
  all.take_rest(of);
  return all.finish();
}

/// The same for the image that a store has provided; nothing to do for one that is not Appc's.
/// Fails also with INVALID_ARGUMENT where its Appc manifest is none.
inline absl::StatusOr<enforcement> enforce(const model::image_config& of, const runtime_abilities& can) {
  if (of.appc_manifest.empty()) return enforcement{};
  MORTISE_ASSIGN_OR_RETURN(const auto manifest, parse_image_manifest(of.appc_manifest, "Appc manifest"));
  return manifest.app ? enforce(*manifest.app, can) : enforcement{};
}

}  // namespace mortise::image::appc
