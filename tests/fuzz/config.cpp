// SPDX-License-Identifier: Apache-2.0
/// \file
/// Configurations of images.

#include <fuzz/descriptors.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/oci/config.hpp>
#include <string_view>

using namespace mortise;

absl::Status fuzz::target(std::string_view input) {
  const auto config = image::oci::parse_config(input, "configuration");
  if (!accepted(config)) return config.status();
  require(model::normalized(config->platform) == config->platform, "a platform is normalised");
  for (const model::digest& each : config->diff_ids) check_digest(each);
  return absl::OkStatus();
}
