// SPDX-License-Identifier: Apache-2.0
/// \file
/// Manifests of Appc images.

#include <fuzz/manifests_of_appc.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <string_view>

using namespace mortise;

absl::Status fuzz::target(std::string_view input) {
  const auto manifest = image::appc::parse_image_manifest(input, "manifest");
  if (!accepted(manifest)) return manifest.status();
  check_manifest(*manifest);
  return absl::OkStatus();
}
