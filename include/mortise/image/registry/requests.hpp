// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a registry is asked: the addresses and header fields of the distribution API's reading half.

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// Names and values of header fields.
using header_fields = std::vector<std::pair<std::string, std::string>>;

namespace detail {
inline url repository_url(const endpoint& at, std::string_view rest) {
  // The parts are of grammars without anything that an address would need encoded, but for a digest's ':', which may
  // stand in a path.
  url out = at.base.with_path(concat(at.base.target(), at.repository, '/', rest));
  return at.origin_registry.empty() ? out : out.with_query(concat("ns=", percent_encoded(at.origin_registry)));
}
}  // namespace detail

/// Whether manifests of schema 1 are asked for as well. Off unless written out: they are of no digest that a modern
/// tool would compute, and nobody makes them any more.
enum class schema_1 : bool { refused, accepted };

/// A manifest or index by tag or by digest.
inline url manifest_url(const endpoint& at, const model::tag& tag) {
  return detail::repository_url(at, concat("manifests/", tag.text()));
}
inline url manifest_url(const endpoint& at, const model::digest& digest) {
  return detail::repository_url(at, concat("manifests/", digest.text()));
}
inline url blob_url(const endpoint& at, const model::digest& digest) {
  return detail::repository_url(at, concat("blobs/", digest.text()));
}
/// The first page of what refers to a manifest: signatures, bills of materials. `artifact_type` may be empty.
inline url referrers_url(const endpoint& at, const model::digest& of, std::string_view artifact_type) {
  const url out = detail::repository_url(at, concat("referrers/", of.text()));
  return artifact_type.empty() ? out : out.with_query(concat("artifactType=", percent_encoded(artifact_type)));
}
/// Under which tag a registry without that API keeps an index of the same (distribution-spec, "Referrers Tag Schema").
inline url referrers_tag_url(const endpoint& at, const model::digest& of) {
  return detail::repository_url(at, concat("manifests/", name_of(of.algorithm()), '-', of.hex().substr(0, 64)));
}
/// The first page of the list of tags; `most` of them, or as many as the registry likes.
inline url tags_url(const endpoint& at, std::optional<std::size_t> most = {}) {
  const url out = detail::repository_url(at, "tags/list");
  return most ? out.with_query(concat("n=", *most)) : out;
}

/// One Accept field with all types: there are registries that see only the first of several.
inline header_fields manifest_headers(schema_1 old = schema_1::refused) {
  std::string types = join(
      std::vector<std::string_view>{media::oci_index, media::docker_index, media::oci_manifest, media::docker_manifest},
      ", ");
  if (old == schema_1::accepted) append(types, ", ", media::signed_schema_1, ", ", media::schema_1);
  return {{"Accept", std::move(types)}, {"Accept-Encoding", "identity"}};
}
/// Blobs come as they are: offsets to go on from, and digests, are of those bytes.
inline header_fields blob_headers() { return {{"Accept", "*/*"}, {"Accept-Encoding", "identity"}}; }
inline header_fields tags_headers() { return {{"Accept", "application/json"}, {"Accept-Encoding", "identity"}}; }

/// The media type of a Content-Type field, without its parameters; nothing where it is none.
inline std::optional<model::media_type> content_type(std::string_view field) {
  std::string_view type = field.substr(0, field.find(';'));
  while (type.starts_with(' ') || type.starts_with('\t')) type.remove_prefix(1);
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  auto parsed = model::media_type::parse(model::detail::lower_case(type));
  return parsed.ok() ? std::optional(*std::move(parsed)) : std::nullopt;
}

/// The digest that a Docker-Content-Digest field states, to be checked against what comes. Nothing where there is no
/// such field.
/// Fails with DATA_LOSS where a manifest was asked for by digest and it names another, INVALID_ARGUMENT for no digest.
inline absl::StatusOr<std::optional<model::digest>> content_digest(std::string_view field,
                                                                   const std::optional<model::digest>& asked) {
  if (field.empty()) return std::optional<model::digest>();
  auto stated = model::digest::parse(field);
  if (!stated.ok()) return annotate(stated.status(), "read Docker-Content-Digest");
  // Another algorithm's digest may be of the same bytes.
  if (asked && asked->algorithm() == stated->algorithm() && *asked != *stated)
    return error(absl::StatusCode::kDataLoss, concat("read Docker-Content-Digest: ", stated->text(), " was sent where ",
                                                     asked->text(), " was asked for"));
  return std::optional(*std::move(stated));
}

/// The text of a Warning field of code 299 (`299 - "text"`), cleaned for a terminal, to be shown once and acted upon
/// never. Nothing for another code or form, control characters, or more than 4096 bytes.
inline std::optional<std::string> warning_text(std::string_view field) {
  constexpr std::string_view begin = "299 - \"";
  if (field.size() > 4096 || !field.starts_with(begin) || field.size() <= begin.size() || !field.ends_with('"'))
    return std::nullopt;
  field = field.substr(begin.size(), field.size() - begin.size() - 1);
  std::string out;
  for (std::size_t at = 0; at < field.size(); ++at) {
    if (field[at] == '"') return std::nullopt;
    if (field[at] == '\\') ++at;
    if (at == field.size()) return std::nullopt;
    if (static_cast<unsigned char>(field[at]) < 0x20 || field[at] == 0x7f) return std::nullopt;
    out.push_back(field[at]);
  }
  return printable(out, 4096);
}

}  // namespace mortise::image::distribution
