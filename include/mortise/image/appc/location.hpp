// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Locations of Appc images as users write them: "aci:FILE" and "appc:NAME[:VERSION][,LABEL=VALUE]...", either with
/// "@sha512-..." behind it, the image ID that it must have.

#include <algorithm>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/model/ac_name.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

inline constexpr std::string_view aci_form = "aci:FILE[@sha512-ID]";
inline constexpr std::string_view appc_form = "appc:NAME[:VERSION][,LABEL=VALUE]...[@sha512-ID]";

namespace detail {

inline absl::Status bad_location(std::string_view text, std::string_view why, std::string_view form) {
  return error(absl::StatusCode::kInvalidArgument,
               concat("parse image location '", printable(text, 300), "': ", why, " (write ", form, ')'));
}

/// Takes "@sha512-ID" off the end of a location.
inline absl::StatusOr<std::optional<model::ac_image_id>> take_id(std::string_view& text) {
  const std::size_t at = text.rfind("@sha512-");
  if (at == std::string_view::npos) return std::optional<model::ac_image_id>{};
  MORTISE_ASSIGN_OR_RETURN(auto id, model::ac_image_id::parse(text.substr(at + 1)));
  text = text.substr(0, at);
  return std::optional(std::move(id));
}

}  // namespace detail

/// What follows "aci:": a path, and what the image there must be.
struct aci_file_location {
  std::string path;
  std::optional<model::ac_image_id> id;

  /// Fails with INVALID_ARGUMENT for an empty path, a zero byte, or what is no image ID behind "@sha512-".
  static absl::StatusOr<aci_file_location> parse(std::string_view text) {
    std::string_view path = text;
    aci_file_location out;
    MORTISE_ASSIGN_OR_RETURN(out.id, detail::take_id(path));
    out.path = path;
    if (path.empty() || path.find('\0') != std::string_view::npos)
      return detail::bad_location(text, "it names no file", aci_form);
    return out;
  }
};

/// What follows "appc:", as the dependency that it is. Values take no comma, and no "@sha512-".
/// Fails with INVALID_ARGUMENT where it is none.
inline absl::StatusOr<dependency> parse_appc_location(std::string_view text) {
  std::string_view rest = text;
  MORTISE_ASSIGN_OR_RETURN(auto id, detail::take_id(rest));
  const std::string_view head = rest.substr(0, rest.find(','));
  if (rest.ends_with(',')) return detail::bad_location(text, "a label is missing behind its last comma", appc_form);
  rest.remove_prefix(std::min(head.size() + 1, rest.size()));
  const std::size_t colon = head.find(':');
  MORTISE_ASSIGN_OR_RETURN(auto name, model::ac_identifier::parse(head.substr(0, colon)));
  std::vector<model::ac_labels::value_type> labels;
  if (colon != std::string_view::npos) {
    if (colon + 1 == head.size()) return detail::bad_location(text, "its version is empty", appc_form);
    MORTISE_ASSIGN_OR_RETURN(auto version, model::ac_identifier::parse("version"));
    labels.emplace_back(std::move(version), std::string(head.substr(colon + 1)));
  }
  for (const std::string_view each : split(rest, ',')) {
    const std::size_t equals = each.find('=');
    if (equals == std::string_view::npos) return detail::bad_location(text, "a label has no '='", appc_form);
    MORTISE_ASSIGN_OR_RETURN(auto label, model::ac_identifier::parse(each.substr(0, equals)));
    labels.emplace_back(std::move(label), std::string(each.substr(equals + 1)));
  }
  MORTISE_ASSIGN_OR_RETURN(auto all, model::ac_labels::make(std::move(labels)));
  return dependency{std::move(name), std::move(id), std::move(all), {}};
}

/// The same location in one spelling, labels in the order of their names.
inline std::string canonical_appc_location(const dependency& what) {
  std::string out = concat("appc:", what.name.text());
  if (const auto version = what.labels.find("version")) append(out, ':', *version);
  auto labels = what.labels.all();
  std::sort(labels.begin(), labels.end());
  for (const auto& [name, value] : labels)
    if (name != "version") append(out, ',', name.text(), '=', value);
  if (what.id) append(out, '@', what.id->text());
  return out;
}

}  // namespace mortise::image::appc
