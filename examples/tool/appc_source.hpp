// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The tools' source of Appc images: by which ways it fetches, and when it asks for signatures.

#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/file.hpp>
#include <mortise/fetch/http.hpp>
#include <mortise/image/appc.hpp>
#include <mortise/image/appc/gpgv.hpp>
#include <optional>
#include <utility>

#include "loaded_curl.hpp"
#include "source_options.hpp"

namespace tool {

/// Signatures are asked for where there are keys.
struct signatures {
  std::optional<mortise::image::appc::gpgv> by_keys;
  [[nodiscard]] bool is_needed() const { return by_keys.has_value(); }
  absl::Status operator()(const mortise::model::ac_identifier& name, const mortise::image::file_section& aci,
                          const mortise::image::appc::signature_text& ask) const {
    return by_keys ? (*by_keys)(name, aci, ask) : absl::OkStatus();
  }
};

using appc_images =
    mortise::image::basic_appc<mortise::fetch::any_of<mortise::fetch::file, mortise::fetch::http<loaded_curl>>,
                               signatures>;

inline appc_images appc_source(const source_options& from) {
  mortise::image::appc::discovery_options options;
  if (!from.aci_prefixes.empty()) options.prefixes = from.aci_prefixes;
  options.allow_http = from.aci_http;
  options.cancelled = from.cancelled;
  if (from.platform) options.platform = *from.platform;
  signatures check;
  if (!from.aci_keys.empty()) check.by_keys.emplace(from.aci_keys);
  return appc_images({}, std::move(options), std::move(check));
}

}  // namespace tool
