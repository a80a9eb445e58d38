// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a manifest that a registry sent is: by what the server says, by what it says itself, and that the two agree.
/// Needs: RapidJSON, libcrypto.

#include <absl/status/statusor.h>

#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/registry/requests.hpp>
#include <mortise/image/registry/schema1.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mortise::image::distribution {

/// Whether a type is one of those that a manifest may have.
inline bool is_manifest_type(const model::media_type& type) {
  const role kind = role_of(type);
  return kind == role::manifest || kind == role::index || kind == role::schema_1;
}

/// The type of the manifest `text` that came with the Content-Type `field`. Many servers say application/json, or
/// nothing: then the document decides.
/// Fails with INVALID_ARGUMENT where the two name different types (CVE-2021-41190), or neither names one.
inline absl::StatusOr<model::media_type> manifest_type(std::string_view text, std::string_view field,
                                                       std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  const json::value root = document.root();
  const auto refuse = [subject](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("read ", subject, ": ", why));
  };
  MORTISE_ASSIGN_OR_RETURN(const std::string own, root.text_or("mediaType", ""));
  const auto sent = content_type(field);
  if (sent && is_manifest_type(*sent)) {
    if (own.empty() || *sent == own || role_of(*sent) == role::schema_1) return *sent;
    return refuse(concat("it calls itself ", printable(own), " and was sent as ", sent->text()));
  }
  if (!own.empty()) return model::media_type::parse(own);
  if (root.has("fsLayers"))
    return model::media_type::parse(root.has("signatures") ? media::signed_schema_1 : media::schema_1);
  if (root.has("manifests")) return model::media_type::parse(media::oci_index);
  if (root.has("config")) return model::media_type::parse(media::oci_manifest);
  return refuse(concat("it is no manifest (it was sent as ", field.empty() ? "nothing" : printable(field, 160), ')'));
}

/// The digest that identifies a manifest of this type: of all its bytes, but for schema 1, whose signatures are not
/// covered.
inline absl::StatusOr<model::digest> manifest_digest(std::string_view text, const model::media_type& type,
                                                     model::digest_algorithm algorithm, std::string_view subject) {
  std::string payload;
  if (role_of(type) == role::schema_1) {
    MORTISE_ASSIGN_OR_RETURN(payload, schema_1_payload(text, subject));
    text = payload;
  }
  digest::openssl hash(algorithm);
  hash.update(std::as_bytes(std::span(text)));
  return hash.finish();
}

}  // namespace mortise::image::distribution
