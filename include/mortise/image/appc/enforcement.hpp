// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What becomes of the isolators that an Appc image asks for: each is enforced, adjusted or ignored, and said to be.
/// The image's word can only take away from what its caller grants.

#include <algorithm>
#include <cstdint>
#include <mortise/base/text.hpp>
#include <mortise/base/units.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::image::appc {

/// `adjusted`: held to something that is not quite what was asked for. `ignored`: held to nothing.
enum class verdict : unsigned char { enforced, adjusted, ignored };

constexpr std::string_view name_of(verdict which) {
  return which == verdict::enforced ? "enforced" : which == verdict::adjusted ? "adjusted" : "ignored";
}

/// What became of one isolator, or of another wish of the app that is not met.
struct isolator_report {
  std::string name;  ///< "resource/memory", or "app/eventHandlers"
  verdict what = verdict::ignored;
  std::string why;  ///< empty where there is nothing to say

  /// "resource/memory is enforced"
  [[nodiscard]] std::string text() const { return concat(name, " is ", name_of(what), why.empty() ? "" : ": ", why); }
};

/// What a runtime can do.
struct runtime_abilities {
  std::uint64_t capabilities = 0;  ///< that an app may keep at most, by the kernel's numbers
  double least_cpus = 0.01;
  bytes least_memory{std::uint64_t{1} << 20};
};

/// What a runtime is to do, and what is to be said of it.
struct enforcement {
  std::optional<bytes> memory;                ///< at most
  std::optional<bytes> memory_reservation;    ///< spared as long as possible
  std::optional<double> cpus;                 ///< at most the time of so many processors
  std::optional<std::uint32_t> cpu_shares;    ///< against others, of whom each has 1024
  std::optional<std::uint64_t> capabilities;  ///< exactly these are kept
  std::vector<isolator_report> reports;

  [[nodiscard]] bool ignores_any() const {
    return std::any_of(reports.begin(), reports.end(),
                       [](const isolator_report& each) { return each.what == verdict::ignored; });
  }
};

}  // namespace mortise::image::appc
