// SPDX-License-Identifier: Apache-2.0
/// \file
/// Docker's schema 1, from signed text to the configuration that is made of it.

#include <fuzz/descriptors.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/registry/schema1.hpp>
#include <string>
#include <string_view>

using namespace mortise;
using namespace mortise::image;

absl::Status fuzz::target(std::string_view input) {
  const auto payload = distribution::schema_1_payload(input, "manifest");
  if (!accepted(payload)) return payload.status();
  const auto manifest = distribution::parse_schema_1(*payload, "manifest");
  if (!accepted(manifest)) return manifest.status();
  for (const model::digest& each : manifest->layers) check_digest(each);
  require(manifest->history.size() >= manifest->layers.size(), "each layer is a step");
  const auto text = distribution::schema_1_config(*manifest, manifest->layers);
  if (!accepted(text)) return text.status();
  require(json::document::parse(*text, "configuration").ok(), "what is made is JSON", *text);
  const auto config = oci::parse_config(*text, "configuration");
  if (!accepted(config)) return config.status();
  require(config->diff_ids == manifest->layers, "it has the diff IDs that it was given", *text);
  require(config->history.size() == manifest->history.size(), "it has all steps", *text);
  require(!config->platform.os.empty() || text->find("\"os\"") != std::string::npos, "it says for which system", *text);
  return absl::OkStatus();
}
