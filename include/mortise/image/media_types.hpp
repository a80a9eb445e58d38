// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The media types that images are made of: OCI's and Docker's names for the same few things, and
/// one of Appc's.

#include <algorithm>
#include <mortise/base/text.hpp>
#include <mortise/model/descriptor.hpp>
#include <string>
#include <string_view>

namespace mortise::image {

namespace media {
inline constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view oci_layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view oci_foreign_layer = "application/vnd.oci.image.layer.nondistributable.v1.tar";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_index = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_plugin = "application/vnd.docker.plugin.v1+json";
inline constexpr std::string_view docker_layer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view docker_foreign_layer = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// An App Container Image as a layer: of its tar only the directory `rootfs` counts, and there are no whiteouts in it.
inline constexpr std::string_view appc_layer = "application/vnd.appc.aci";
inline constexpr std::string_view schema_1 = "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view signed_schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
}  // namespace media

/// What a media type says that some content is. Compression is not part of it: it is told by the bytes.
enum class role : unsigned char { manifest, index, config, layer, foreign_layer, appc_layer, schema_1, unknown };

namespace detail {
/// `base`, alone or with one of the compressions that its family writes after `separator`.
inline bool is_layer_type(std::string_view type, std::string_view base, char separator) {
  if (!type.starts_with(base)) return false;
  type.remove_prefix(base.size());
  if (type.empty()) return true;
  if (type.front() != separator) return false;
  type.remove_prefix(1);
  return type == "gzip" || type == "zstd";
}
}  // namespace detail

inline role role_of(const model::media_type& type) {
  const std::string_view text = type.text();
  if (text == media::oci_manifest || text == media::docker_manifest) return role::manifest;
  if (text == media::oci_index || text == media::docker_index) return role::index;
  if (text == media::oci_config || text == media::docker_config) return role::config;
  if (text == media::schema_1 || text == media::signed_schema_1) return role::schema_1;
  if (detail::is_layer_type(text, media::oci_layer, '+') || detail::is_layer_type(text, media::docker_layer, '.'))
    return role::layer;
  if (detail::is_layer_type(text, media::oci_foreign_layer, '+') ||
      detail::is_layer_type(text, media::docker_foreign_layer, '.'))
    return role::foreign_layer;
  if (text == media::appc_layer) return role::appc_layer;
  return role::unknown;
}

}  // namespace mortise::image
