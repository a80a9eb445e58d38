// SPDX-License-Identifier: Apache-2.0
/// \file
/// Manifests and indexes of OCI and of Docker's schema 2.

#include <fuzz/descriptors.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/docker/manifest.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace mortise;
using namespace mortise::image;

void check(const model::index& from) {
  fuzz::require(role_of(from.type) == role::index, "an index is of an index's type", from.type.text());
  for (const model::descriptor& each : from.manifests) fuzz::check_descriptor(each);
}

void check(const model::manifest& from) {
  fuzz::require(role_of(from.type) == role::manifest, "a manifest is of a manifest's type", from.type.text());
  fuzz::check_descriptor(from.config);
  for (const model::descriptor& each : from.layers) fuzz::check_descriptor(each);
  const std::string text = docker::manifest_text(from.config, from.layers);
  const auto again = fuzz::taken(oci::parse_manifest(text, "manifest"), "a manifest that we write can be read");
  const auto* const written = std::get_if<model::manifest>(&again);
  fuzz::require(written != nullptr && written->layers.size() == from.layers.size(), "it has all layers", text);
  fuzz::require(docker::manifest_text(written->config, written->layers) == text, "it has one spelling", text);
}

/// What one reader takes for a manifest another must not take for an index: CVE-2021-41190.
void check_declared(std::string_view input, const oci::manifest_or_index& found) {
  const bool index = std::holds_alternative<model::index>(found);
  for (const std::string_view type : {media::oci_index, media::oci_manifest}) {
    const auto declared = fuzz::taken(model::media_type::parse(type), "the type is one");
    const auto again = oci::parse_manifest(input, "manifest", declared);
    if (!fuzz::accepted(again)) continue;
    fuzz::require(std::holds_alternative<model::index>(*again) == index, "a document is of one kind", type);
  }
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  accepted(oci::check_layout_version(input, "oci-layout"));
  const auto found = oci::parse_manifest(input, "manifest");
  if (!accepted(found)) return found.status();
  std::visit([](const auto& each) { check(each); }, *found);
  check_declared(input, *found);
  return absl::OkStatus();
}
