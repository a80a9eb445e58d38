// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the tools' command lines say to the sources of images.

#include <atomic>
#include <mortise/base/status.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace tool {

struct source_options {
  const std::atomic<bool>* cancelled = nullptr;      ///< ends whatever is asked of a source; outlives them; null: never
  std::optional<mortise::model::platform> platform;  ///< for which Appc images are looked for; the host's without
  std::vector<std::string> aci_prefixes;  ///< where Appc images are looked for; empty for https and their own hosts
  std::string aci_keys;                   ///< a directory of keys for Appc images; empty asks for no signature
  bool aci_http = false;                  ///< plain HTTP is good enough for Appc images
};

/// The options for them, of a command line whose options have a member of that type.
template <auto Sources, class Options>
absl::Status add_aci_prefix(Options& to, std::string_view value) {
  if (value.find(':') == std::string_view::npos) return refuse(value, "the beginning of a URL");
  (to.*Sources).aci_prefixes.emplace_back(value);
  return absl::OkStatus();
}
template <auto Sources, class Options>
absl::Status set_aci_keys(Options& to, std::string_view value) {
  if (value.empty()) return refuse(value, "a directory");
  (to.*Sources).aci_keys = absolute(value);
  return absl::OkStatus();
}
template <auto Sources, class Options>
absl::Status turn_on_aci_http(Options& to, std::string_view /*value*/) {
  (to.*Sources).aci_http = true;
  return absl::OkStatus();
}

}  // namespace tool
