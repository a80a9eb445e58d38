// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reads manifests and indexes: OCI image-spec manifest.md and image-index.md, and the layout's
/// `oci-layout` file. Docker's schema 2 differs only in its media types (docker/manifest.hpp).

#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/oci/descriptor.hpp>
#include <mortise/model/manifest.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::oci {

/// What one document may list; image-spec sets no bound, so hostile ones would.
inline constexpr std::size_t most_descriptors = 10'000;

/// Either of the two documents that a reference may name.
using manifest_or_index = std::variant<model::manifest, model::index>;

namespace detail {

inline absl::StatusOr<std::vector<model::descriptor>> read_descriptors(const json::value& list) {
  MORTISE_ASSIGN_OR_RETURN(const auto elements, list.elements());
  if (elements.size() > most_descriptors) return list.refuse(concat("it lists more than ", most_descriptors));
  std::vector<model::descriptor> out;
  out.reserve(elements.size());
  for (const json::value& each : elements) {
    MORTISE_ASSIGN_OR_RETURN(auto descriptor, read_descriptor(each));
    out.push_back(std::move(descriptor));
  }
  return out;
}

/// The type that the document states, or the one it was declared as where it states none. The two must
/// agree, and the document must not be readable as the other kind as well (CVE-2021-41190).
inline absl::StatusOr<model::media_type> settle_type(const json::value& root,
                                                     const std::optional<model::media_type>& declared) {
  MORTISE_ASSIGN_OR_RETURN(const auto version, root.member("schemaVersion"));
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t number, version.count());
  if (number != 2) return version.refuse(concat("version ", number, " is not supported (only 2 is)"));
  const bool manifest = root.has("config") || root.has("layers") || root.has("fsLayers");
  const bool index = root.has("manifests");
  if (manifest && index) return root.refuse("it is ambiguous: it has the members of an image manifest and of an index");
  if (!manifest && !index) return root.refuse("it has neither 'manifests' nor 'config' and 'layers'");
  MORTISE_ASSIGN_OR_RETURN(const std::string stated, root.text_or("mediaType", ""));
  if (!stated.empty() && declared && *declared != stated)
    return root.refuse(concat("it calls itself ", printable(stated), " where ", declared->text(), " was expected"));
  if (stated.empty() && declared) return *declared;
  return model::media_type::parse(!stated.empty() ? std::string_view(stated)
                                  : index         ? media::oci_index
                                                  : media::oci_manifest);
}

inline absl::StatusOr<model::manifest> read_manifest(const json::value& root, model::media_type type) {
  MORTISE_ASSIGN_OR_RETURN(const json::value config_at, root.member("config"));
  MORTISE_ASSIGN_OR_RETURN(const json::value layers_at, root.member("layers"));
  MORTISE_ASSIGN_OR_RETURN(auto config, read_descriptor(config_at));
  model::manifest out{std::move(type), std::move(config), {}, {}, {}};
  MORTISE_ASSIGN_OR_RETURN(out.layers, read_descriptors(layers_at));
  MORTISE_ASSIGN_OR_RETURN(out.artifact_type, root.text_or("artifactType", ""));
  MORTISE_ASSIGN_OR_RETURN(out.annotations, root.pairs_or_none("annotations"));
  return out;
}

inline absl::StatusOr<model::index> read_index(const json::value& root, model::media_type type) {
  MORTISE_ASSIGN_OR_RETURN(const json::value manifests_at, root.member("manifests"));
  model::index out{std::move(type), {}, {}};
  MORTISE_ASSIGN_OR_RETURN(out.manifests, read_descriptors(manifests_at));
  MORTISE_ASSIGN_OR_RETURN(out.annotations, root.pairs_or_none("annotations"));
  return out;
}

inline absl::StatusOr<manifest_or_index> read_either(const json::value& root,
                                                     const std::optional<model::media_type>& declared) {
  MORTISE_ASSIGN_OR_RETURN(auto type, settle_type(root, declared));
  switch (role_of(type)) {
    case role::manifest:
      return read_manifest(root, std::move(type));
    case role::index:
      return read_index(root, std::move(type));
    default:
      return root.refuse(concat(printable(type.text()), " is neither an image manifest nor an index"));
  }
}

}  // namespace detail

/// Parses a manifest or an index; `declared` is the type that the descriptor leading here states.
/// Fails with INVALID_ARGUMENT: "parse `subject`: at 'layers[3].size': ...".
inline absl::StatusOr<manifest_or_index> parse_manifest(std::string_view text, std::string_view subject,
                                                        const std::optional<model::media_type>& declared = {}) {
  if (declared && role_of(*declared) == role::schema_1)
    return error(
        absl::StatusCode::kUnimplemented,
        concat("parse ", subject, ": Docker schema 1 is not supported (push the image again with a current tool)"));
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  auto out = detail::read_either(document.root(), declared);
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

/// Checks the `oci-layout` file: version 1.0.0, further members ignored.
inline absl::Status check_layout_version(std::string_view text, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  MORTISE_ASSIGN_OR_RETURN(const std::string version, document.root().text_or("imageLayoutVersion", ""));
  if (version == "1.0.0") return absl::OkStatus();
  return error(absl::StatusCode::kInvalidArgument, concat("parse ", subject, ": layout version '",
                                                          printable(version, 40), "' is not supported (1.0.0 is)"));
}

}  // namespace mortise::image::oci
