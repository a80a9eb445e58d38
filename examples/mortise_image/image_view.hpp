// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a store has of one image: its documents, and of each layer the blob and the unpacked forms.

#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/image/inventory.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/lease.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/resolve.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store.hpp"

namespace mortise_image {

struct layer_view {
  mortise::model::descriptor blob;
  bool kept = false;  ///< the blob is in the store
  std::optional<mortise::model::digest> diff_id;
  std::vector<mortise::image::stored_part> unpacked;  ///< one for each format

  /// "overlay" of "layers/overlay/HEX"
  static std::string format_of(const mortise::image::stored_part& part) {
    return std::string(mortise::split(part.name, '/').at(1));
  }
};

/// Keeps what it shows from being collected.
struct image_view {
  mortise::image::remembered_image of;
  std::shared_ptr<mortise::model::hold> held;
  mortise::model::manifest manifest;
  std::optional<mortise::model::image_config> config;  ///< nothing of an artifact
  std::vector<layer_view> layers;
};

/// One that the store remembers.
inline absl::StatusOr<image_view> look_at(const mortise::image::store_directory& store,
                                          mortise::image::remembered_image of) {
  namespace image = mortise::image;
  image::stored_blobs blobs(store, of.record.manifest);
  MORTISE_ASSIGN_OR_RETURN(auto root, image::read_root(blobs));
  image_view out{std::move(of), {}, std::move(root.parsed), {}, {}};
  {
    MORTISE_ASSIGN_OR_RETURN(const image::gate shared, image::gate::share(store));
    MORTISE_ASSIGN_OR_RETURN(out.held,
                             image::lease::take(store, shared, {out.of.record.manifest, out.manifest.config.digest}));
  }
  std::vector<image::layer_key> keys;
  if (image::role_of(out.manifest.config.type) == image::role::config) {
    MORTISE_ASSIGN_OR_RETURN(auto whole, image::read_image(blobs));
    keys = image::layer_keys(whole);
    out.config = std::move(whole.config.parsed);
  }
  MORTISE_ASSIGN_OR_RETURN(const auto parts, image::list_parts(store));
  for (std::size_t at = 0; at < out.manifest.layers.size(); ++at) {
    layer_view& layer = out.layers.emplace_back(layer_view{out.manifest.layers[at], false, {}, {}});
    const std::string blob = image::store_directory::blob_name(layer.blob.digest);
    if (out.config) layer.diff_id = out.config->diff_ids[at];
    for (const image::stored_part& part : parts) {
      layer.kept = layer.kept || part.key == blob;
      if (!keys.empty() && (part.key == mortise::concat("layers/", keys[at].own.hex()) ||
                            part.key == mortise::concat("chains/", keys[at].chain.hex())))
        layer.unpacked.push_back(part);
    }
  }
  return out;
}

/// The images of a location: one for each platform that it was pulled for, or the one that is asked for.
/// Fails with NOT_FOUND where there is none.
inline absl::StatusOr<std::vector<image_view>> look_at(const tool::image_store& store, const std::string& location,
                                                       const std::optional<mortise::model::platform>& platform) {
  MORTISE_ASSIGN_OR_RETURN(auto images, mortise::image::list_images(store.directory()));
  const std::string key = store.canonical(location);
  std::vector<image_view> out;
  for (mortise::image::remembered_image& each : images) {
    if (each.record.location != key || (platform && each.record.platform != platform->text())) continue;
    MORTISE_ASSIGN_OR_RETURN(image_view found, look_at(store.directory(), std::move(each)));
    out.push_back(std::move(found));
  }
  if (out.empty())
    return mortise::error(absl::StatusCode::kNotFound,
                          "the store does not know it (ls lists what it knows, pull adds to it)");
  return out;
}

}  // namespace mortise_image
