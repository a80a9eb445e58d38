// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Docker's own documents: the manifest.json of `docker save`, and the schema 2 manifest that stands for
/// an image of such an archive.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/model/manifest.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::docker {

/// One image of an archive: names of members, and the references it was saved under.
struct saved_image {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;  ///< bottom first
};

namespace detail {

inline absl::StatusOr<saved_image> read_saved_image(const json::value& from) {
  saved_image out;
  MORTISE_ASSIGN_OR_RETURN(const json::value config_at, from.member("Config"));
  MORTISE_ASSIGN_OR_RETURN(out.config, config_at.text());
  MORTISE_ASSIGN_OR_RETURN(out.tags, from.texts_or_none("RepoTags"));
  MORTISE_ASSIGN_OR_RETURN(out.layers, from.texts_or_none("Layers"));
  return out;
}

inline absl::StatusOr<std::vector<saved_image>> read_archive(const json::value& root) {
  MORTISE_ASSIGN_OR_RETURN(const auto list, root.elements());
  std::vector<saved_image> out;
  for (const json::value& each : list) {
    MORTISE_ASSIGN_OR_RETURN(auto image, read_saved_image(each));
    out.push_back(std::move(image));
  }
  return out;
}

inline std::string descriptor_text(const model::descriptor& of) {
  return concat(R"({"mediaType":)", json::quoted(of.type.text()), R"(,"size":)", of.size, R"(,"digest":)",
                json::quoted(of.digest.text()), '}');
}

}  // namespace detail

/// Parses the manifest.json of an archive. Fails with INVALID_ARGUMENT: "parse `subject`: at '[0].Config': ...".
inline absl::StatusOr<std::vector<saved_image>> parse_archive(std::string_view text, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  auto out = detail::read_archive(document.root());
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

/// A schema 2 manifest as text: the same parts give the same bytes, so an image has one identity whichever
/// archive it came in.
inline std::string manifest_text(const model::descriptor& config, const std::vector<model::descriptor>& layers) {
  std::vector<std::string> texts;
  texts.reserve(layers.size());
  for (const model::descriptor& each : layers) texts.push_back(detail::descriptor_text(each));
  return concat(R"({"schemaVersion":2,"mediaType":)", json::quoted(media::docker_manifest), R"(,"config":)",
                detail::descriptor_text(config), R"(,"layers":[)", join(texts, ","), "]}");
}

}  // namespace mortise::image::docker
