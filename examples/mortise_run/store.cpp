// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: the only file that sees RapidJSON, libarchive, libcrypto, libcurl and the decompressors.
#include "store.hpp"

#include <mortise/image/appc/enforce.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>

#include "appc_source.hpp"

namespace mortise_run {

using namespace mortise;

absl::StatusOr<image::appc::enforcement> enforce(const model::image_config& image, std::uint64_t capabilities) {
  return image::appc::enforce(image, {.capabilities = capabilities});
}

struct images::parts {
  image::store<image::oci_layout, image::docker_archive, appc_images> store;
  std::string directory;
};

absl::StatusOr<images> images::open(const std::string& directory) {
  MORTISE_ASSIGN_OR_RETURN(auto store, decltype(parts::store)::open(directory));
  return images(std::make_shared<parts>(parts{std::move(store), directory}));
}

absl::Status images::look_in(const appc_places& where) {
  image::appc::discovery_options options;
  if (!where.prefixes.empty()) options.prefixes = where.prefixes;
  options.allow_http = where.http;
  options.cancelled = where.cancelled;
  if (where.platform) options.platform = *where.platform;
  signatures check;
  if (!where.keys.empty()) check.by_keys.emplace(where.keys);
  MORTISE_ASSIGN_OR_RETURN(parts_->store,
                           decltype(parts::store)::open(parts_->directory, image::oci_layout(), image::docker_archive(),
                                                        appc_images({}, std::move(options), std::move(check))));
  return absl::OkStatus();
}

absl::StatusOr<model::image> images::provide_in(model::overlay_layers /*format*/, std::string_view location,
                                                const image::provide_options& options, const hearer& hear) {
  return parts_->store.provide<model::overlay_layers>(location, options, hear);
}

absl::StatusOr<model::image> images::provide_in(model::unprivileged_overlay_layers /*format*/,
                                                std::string_view location, const image::provide_options& options,
                                                const hearer& hear) {
  return parts_->store.provide<model::unprivileged_overlay_layers>(location, options, hear);
}

}  // namespace mortise_run
