// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An Appc image as the manifest and configuration of OCI, so that all that works on images works on it. The same ACIs
/// give the same bytes. Needs: RapidJSON, libcrypto.

#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/image/appc/path_filter.hpp>
#include <mortise/image/appc/platform.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/layer_view.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/model/descriptor.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// One image of the rendering order: its uncompressed tar, and what shows of it.
struct tar_layer {
  model::ac_image_id id;
  std::uint64_t size = 0;
  path_filter filter;
};

/// The two documents. The manifest's descriptor holds the manifest.
struct oci_documents {
  model::descriptor manifest;
  model::digest config_digest;
  std::string config;
};

namespace detail {

/// An object's text, member by member; empty values are left out.
class object_text {
 public:
  object_text& raw(std::string_view name, std::string_view json) {
    append(text_, text_.size() > 1 ? "," : "", json::quoted(name), ':', json);
    return *this;
  }
  object_text& text(std::string_view name, std::string_view value) {
    return value.empty() ? *this : raw(name, json::quoted(value));
  }
  object_text& list(std::string_view name, const std::vector<std::string>& values) {
    std::vector<std::string> quoted;
    quoted.reserve(values.size());
    for (const std::string& each : values) quoted.push_back(json::quoted(each));
    return values.empty() ? *this : raw(name, concat('[', join(quoted, ","), ']'));
  }
  /// A set, as OCI writes one: {"a":{},"b":{}}.
  object_text& names(std::string_view name, const std::vector<std::string>& values) {
    object_text out;
    for (const std::string& each : values) out.raw(each, "{}");
    return values.empty() ? *this : raw(name, out.done());
  }
  [[nodiscard]] std::string done() const { return concat(text_, '}'); }

 private:
  std::string text_ = "{";
};

/// Labels, annotations and their users' kin, each under a prefix of its own: an image cannot choose a name that means
/// something to anybody else.
inline std::string label_text(const image_manifest& from) {
  object_text out;
  const auto add = [&out](std::string_view kind, std::string_view name, std::string_view value) {
    out.raw(concat("io.appc.", kind, '.', name), json::quoted(value));
  };
  out.text("io.appc.name", from.name.text());
  for (const auto& [name, value] : from.labels.all()) add("label", name.text(), value);
  for (const auto& [name, value] : from.annotations) add("annotation", name, value);
  if (!from.app) return out.done();
  for (const auto& [name, value] : from.app->user_labels) add("user-label", name, value);
  for (const auto& [name, value] : from.app->user_annotations) add("user-annotation", name, value);
  return out.done();
}

/// "80/tcp", and "8000-8010/tcp" for several.
inline std::vector<std::string> exposed_ports(const std::vector<port>& ports) {
  std::vector<std::string> out;
  for (const port& each : ports) {
    std::string text = concat(each.first);
    if (each.count > 1) append(text, '-', each.first + each.count - 1);
    append(text, '/', each.protocol);
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  }
  return out;
}

inline std::string execution_text(const image_manifest& from) {
  object_text out;
  if (from.app) {
    std::vector<std::string> variables;
    for (const auto& [name, value] : from.app->environment) variables.push_back(concat(name, '=', value));
    std::vector<std::string> volumes;
    for (const mount_point& each : from.app->mount_points)
      if (std::find(volumes.begin(), volumes.end(), each.path) == volumes.end()) volumes.push_back(each.path);
    out.list("Entrypoint", from.app->exec).list("Env", variables).text("WorkingDir", from.app->working_directory);
    out.text("User", concat(from.app->user, ':', from.app->group));
    out.names("Volumes", volumes).names("ExposedPorts", exposed_ports(from.app->ports));
  }
  return out.raw("Labels", label_text(from)).done();
}

inline std::string config_text(const image_manifest& from, std::string_view manifest_text,
                               const std::vector<tar_layer>& layers) {
  std::vector<std::string> diff_ids;
  diff_ids.reserve(layers.size());
  for (const tar_layer& each : layers) diff_ids.push_back(each.id.digest().text());
  const model::platform platform = platform_of(from.labels);
  object_text out;
  out.text("created", model::find(from.annotations, "created").value_or(""));
  out.text("author", model::find(from.annotations, "authors").value_or(""));
  out.text("os", platform.os).text("architecture", platform.architecture).text("variant", platform.variant);
  out.raw("config", execution_text(from));
  out.raw("rootfs", object_text().text("type", "layers").list("diff_ids", diff_ids).done());
  return out.raw("appc", object_text().text("manifest", manifest_text).done()).done();
}

inline object_text descriptor_text(std::string_view type, const model::digest& digest, std::uint64_t size) {
  return object_text().text("mediaType", type).raw("size", concat(size)).text("digest", digest.text());
}

inline std::string layer_text(const tar_layer& from) {
  object_text out = descriptor_text(media::appc_layer, from.id.digest(), from.size);
  if (from.filter.shows_all()) return out.done();
  std::vector<std::string> quoted;
  for (const std::string& each : from.filter.paths()) quoted.push_back(json::quoted(each));
  const std::string paths = concat('[', join(quoted, ","), ']');
  return out.raw("annotations", object_text().text(appc_paths_annotation, paths).done()).done();
}

inline absl::Status check_size(std::string_view what, std::size_t size) {
  if (size <= most_document_bytes) return absl::OkStatus();
  return error(absl::StatusCode::kResourceExhausted, concat("convert Appc image: its ", what, " takes ", size,
                                                            " bytes, more than the ", most_document_bytes, " allowed"));
}

}  // namespace detail

/// `from` is the image's own manifest, whose text is kept in the configuration; `layers` are in rendering order. Each
/// layer is the ACI's uncompressed tar, so that its digest is the image ID and its diff ID too.
/// Fails with RESOURCE_EXHAUSTED where whitelists or manifest are too long, INVALID_ARGUMENT for a user's name with a
/// colon, which OCI cannot state.
inline absl::StatusOr<oci_documents> convert(const image_manifest& from, std::string_view manifest_text,
                                             const std::vector<tar_layer>& layers) {
  if (from.app && from.app->user.find(':') != std::string::npos)
    return error(absl::StatusCode::kInvalidArgument,
                 concat("convert Appc image: a colon in the user '", printable(from.app->user, 80), '\''));
  std::string config = detail::config_text(from, manifest_text, layers);
  MORTISE_RETURN_IF_ERROR(detail::check_size("configuration", config.size()));
  const model::digest config_digest = digest::of(config);
  std::vector<std::string> layer_texts;
  layer_texts.reserve(layers.size());
  std::size_t size_of_layers = 0;
  for (const tar_layer& each : layers) {  // each may be nearly as long as all may be
    size_of_layers += layer_texts.emplace_back(detail::layer_text(each)).size();
    MORTISE_RETURN_IF_ERROR(detail::check_size("manifest", size_of_layers));
  }
  std::string manifest =
      detail::object_text()
          .raw("schemaVersion", "2")
          .text("mediaType", media::oci_manifest)
          .raw("config", detail::descriptor_text(media::oci_config, config_digest, config.size()).done())
          .raw("layers", concat('[', join(layer_texts, ","), ']'))
          .done();
  MORTISE_RETURN_IF_ERROR(detail::check_size("manifest", manifest.size()));
  MORTISE_ASSIGN_OR_RETURN(auto type, model::media_type::parse(media::oci_manifest));
  const model::digest digest = digest::of(manifest);
  const std::size_t size = manifest.size();
  return oci_documents{
      {std::move(type), digest, size, {}, {}, {}, {}, std::move(manifest)}, config_digest, std::move(config)};
}

}  // namespace mortise::image::appc
