// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the tools' command lines say to the sources of images.

#include <atomic>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace tool {

struct source_options {
  const std::atomic<bool>* cancelled = nullptr;      ///< ends whatever is asked of a source; outlives them; null: never
  mortise::image::warning_listener warn;             ///< hears what sources warn of, from any thread
  std::optional<mortise::model::platform> platform;  ///< for which Appc images are looked for; the host's without
  std::vector<std::string> aci_prefixes;  ///< where Appc images are looked for; empty for https and their own hosts
  std::string aci_keys;                   ///< a directory of keys for Appc images; empty asks for no signature
  bool aci_http = false;                  ///< plain HTTP is good enough for Appc images
  std::vector<mortise::image::distribution::registry_settings> registries;  ///< of those that need any
  bool schema_1 = false;                                                    ///< Docker's old manifests are taken too
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

/// What is said of a registry, to be added to.
inline auto& settings_of(source_options& all, std::string_view registry) {
  for (auto& each : all.registries)
    if (each.registry == registry) return each;
  return all.registries.emplace_back(mortise::image::distribution::registry_settings{std::string(registry)});
}
/// Who writes http:// before a mirror's address means it.
template <auto Sources, class Options>
absl::Status add_mirror(Options& to, std::string_view value) {
  const std::size_t at = value.find('=');
  if (at == std::string_view::npos || at == 0 || at + 1 == value.size())
    return refuse(value, "REGISTRY=ADDRESS, as in docker.io=mirror.example.com");
  const std::string_view address = value.substr(at + 1);
  settings_of(to.*Sources, value.substr(0, at))
      .mirrors.push_back(
          {.address = std::string(address), .add_namespace = true, .plain_http = address.starts_with("http://")});
  return absl::OkStatus();
}
template <auto Sources, class Options>
absl::Status add_plain_http(Options& to, std::string_view value) {
  if (value.empty() || value.find('/') != std::string_view::npos) return refuse(value, "a registry's HOST[:PORT]");
  settings_of(to.*Sources, value).plain_http = true;
  return absl::OkStatus();
}
template <auto Sources, class Options>
absl::Status turn_on_schema_1(Options& to, std::string_view /*value*/) {
  (to.*Sources).schema_1 = true;
  return absl::OkStatus();
}

}  // namespace tool
