// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reads an image's configuration: OCI image-spec config.md, which Docker's is the origin of.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/oci/descriptor.hpp>
#include <mortise/model/image_config.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::oci {

/// What the layers of an image are, and so what its configuration is read for: an OCI image that speaks of Appc is not
/// listened to.
enum class image_kind : unsigned char { oci, appc };

namespace detail {

/// How the process is to run: the member `config`.
inline absl::Status read_execution(const json::value& from, model::image_config& into) {
  MORTISE_ASSIGN_OR_RETURN(into.entrypoint, from.texts_or_none("Entrypoint"));
  MORTISE_ASSIGN_OR_RETURN(into.cmd, from.texts_or_none("Cmd"));
  MORTISE_ASSIGN_OR_RETURN(into.env, from.texts_or_none("Env"));
  MORTISE_ASSIGN_OR_RETURN(into.working_directory, from.text_or("WorkingDir", ""));
  MORTISE_ASSIGN_OR_RETURN(into.user, from.text_or("User", ""));
  MORTISE_ASSIGN_OR_RETURN(into.stop_signal, from.text_or("StopSignal", ""));
  MORTISE_ASSIGN_OR_RETURN(into.volumes, from.names_or_none("Volumes"));
  MORTISE_ASSIGN_OR_RETURN(into.exposed_ports, from.names_or_none("ExposedPorts"));
  MORTISE_ASSIGN_OR_RETURN(into.labels, from.pairs_or_none("Labels"));
  return absl::OkStatus();
}

inline absl::StatusOr<std::vector<model::digest>> read_diff_ids(const json::value& root) {
  MORTISE_ASSIGN_OR_RETURN(const json::value rootfs, root.member("rootfs"));
  MORTISE_ASSIGN_OR_RETURN(const json::value type_at, rootfs.member("type"));
  MORTISE_ASSIGN_OR_RETURN(const std::string type, type_at.text());
  if (type != "layers") return type_at.refuse(concat("'", printable(type, 40), "' is not supported (only layers is)"));
  std::vector<model::digest> out;
  MORTISE_ASSIGN_OR_RETURN(const auto list_at, rootfs.optional("diff_ids"));
  if (!list_at) return out;
  MORTISE_ASSIGN_OR_RETURN(const auto list, list_at->elements());
  for (const json::value& each : list) {
    MORTISE_ASSIGN_OR_RETURN(const std::string text, each.text());
    MORTISE_ASSIGN_OR_RETURN(auto diff_id, placed(model::digest::parse(text), each));
    out.push_back(std::move(diff_id));
  }
  return out;
}

inline absl::StatusOr<model::history_entry> read_history_entry(const json::value& from) {
  model::history_entry out;
  MORTISE_ASSIGN_OR_RETURN(out.created, from.text_or("created", ""));
  MORTISE_ASSIGN_OR_RETURN(out.created_by, from.text_or("created_by", ""));
  MORTISE_ASSIGN_OR_RETURN(out.comment, from.text_or("comment", ""));
  MORTISE_ASSIGN_OR_RETURN(const auto empty, from.optional("empty_layer"));
  if (empty) {
    MORTISE_ASSIGN_OR_RETURN(out.empty_layer, empty->boolean());
  }
  return out;
}

inline absl::StatusOr<std::vector<model::history_entry>> read_history(const json::value& root) {
  std::vector<model::history_entry> out;
  MORTISE_ASSIGN_OR_RETURN(const auto list_at, root.optional("history"));
  if (!list_at) return out;
  MORTISE_ASSIGN_OR_RETURN(const auto list, list_at->elements());
  for (const json::value& each : list) {
    MORTISE_ASSIGN_OR_RETURN(auto entry, read_history_entry(each));
    out.push_back(std::move(entry));
  }
  return out;
}

/// The member `appc`, which only configurations have that were made of an Appc manifest.
inline absl::StatusOr<std::string> read_appc_manifest(const json::value& root) {
  MORTISE_ASSIGN_OR_RETURN(const auto appc, root.optional("appc"));
  return appc ? appc->text_or("manifest", "") : std::string();
}

inline absl::StatusOr<model::image_config> read_config(const json::value& root, image_kind kind) {
  model::image_config out;
  MORTISE_ASSIGN_OR_RETURN(out.platform, read_platform(root));
  MORTISE_ASSIGN_OR_RETURN(out.created, root.text_or("created", ""));
  MORTISE_ASSIGN_OR_RETURN(out.author, root.text_or("author", ""));
  MORTISE_ASSIGN_OR_RETURN(const auto execution, root.optional("config"));
  if (execution) MORTISE_RETURN_IF_ERROR(read_execution(*execution, out));
  MORTISE_ASSIGN_OR_RETURN(out.diff_ids, read_diff_ids(root));
  MORTISE_ASSIGN_OR_RETURN(out.history, read_history(root));
  if (kind == image_kind::appc) {
    MORTISE_ASSIGN_OR_RETURN(out.appc_manifest, read_appc_manifest(root));
  }
  return out;
}

}  // namespace detail

/// Parses a configuration. Fails with INVALID_ARGUMENT: "parse `subject`: at 'rootfs.diff_ids[0]': ...".
inline absl::StatusOr<model::image_config> parse_config(std::string_view text, std::string_view subject,
                                                        image_kind kind = image_kind::oci) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  auto out = detail::read_config(document.root(), kind);
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

}  // namespace mortise::image::oci
