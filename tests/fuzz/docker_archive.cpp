// SPDX-License-Identifier: Apache-2.0
/// \file
/// The manifest.json of `docker save`.

#include <fuzz/target.hpp>
#include <mortise/image/docker/manifest.hpp>
#include <mortise/image/tar_index.hpp>
#include <string>
#include <string_view>

using namespace mortise;

absl::Status fuzz::target(std::string_view input) {
  const auto images = image::docker::parse_archive(input, "manifest.json");
  if (!accepted(images)) return images.status();
  for (const image::docker::saved_image& each : *images)
    for (const std::string& layer : each.layers) {
      const auto path = image::detail::lexical_path(layer);
      if (!path) continue;
      const std::string whole = concat('/', *path, '/');
      require(whole.find("/../") == std::string::npos && whole.find("/./") == std::string::npos,
              "a member's name has no dots left", whole);
      require(image::detail::lexical_path(*path) == path, "a plain name stays as it is", *path);
    }
  return absl::OkStatus();
}
