// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Docker's manifests of schema 1, signed and unsigned, which a composition must ask for: they say neither how long
/// their layers are nor what is in them, and have no configuration. Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/registry/base64.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/image_config.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// A schema 1 manifest, turned about: its own lists begin at the top.
struct schema_1_manifest {
  std::string name;  ///< what its maker called it; data, not what was asked for
  std::string tag;
  std::vector<model::digest> layers;          ///< of the blobs that hold something, bottom first
  std::vector<model::history_entry> history;  ///< bottom first, with the steps that made no layer
  std::string top;                            ///< the top image of schema 1 as JSON: what becomes the configuration
  std::string architecture;                   ///< where `top` does not say it
};

namespace detail {

/// The most layers: overlayfs takes no more, and Docker made no more than 127.
inline constexpr std::size_t most_schema_1_layers = 512;

struct schema_1_step {
  model::digest blob;
  std::string id;
  std::string parent;
  bool empty = false;
  model::history_entry history;
};

/// The bytes that one signature is of: the beginning of the document, and the end that stood there before signatures
/// were put in.
inline absl::StatusOr<std::string> read_payload(const json::value& signature, std::string_view text) {
  MORTISE_ASSIGN_OR_RETURN(const json::value at, signature.member("protected"));
  MORTISE_ASSIGN_OR_RETURN(const std::string coded, at.text());
  const auto header = decode_base64(coded, base64_form::url);
  if (!header) return at.refuse("it is not base64 for URLs");
  const auto document = json::document::parse(*header, "its header", {.size = 4096, .depth = 4, .values = 50});
  if (!document.ok()) return at.refuse(message(document.status()));
  MORTISE_ASSIGN_OR_RETURN(const json::value length_at, document->root().member("formatLength"));
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t length, length_at.count());
  MORTISE_ASSIGN_OR_RETURN(const json::value tail_at, document->root().member("formatTail"));
  MORTISE_ASSIGN_OR_RETURN(const std::string tail_coded, tail_at.text());
  const auto tail = decode_base64(tail_coded, base64_form::url);
  if (!tail) return tail_at.refuse("it is not base64 for URLs");
  if (length > text.size()) return length_at.refuse("it is more than the document has");
  return concat(text.substr(0, length), *tail);
}

inline absl::StatusOr<std::string> read_signed(const json::value& root, std::string_view text) {
  MORTISE_ASSIGN_OR_RETURN(const auto at, root.optional("signatures"));
  if (!at) return std::string(text);
  MORTISE_ASSIGN_OR_RETURN(const auto signatures, at->elements());
  if (signatures.empty() || signatures.size() > 16) return at->refuse("it must be 1 to 16 signatures");
  std::optional<std::string> out;
  for (const json::value& each : signatures) {
    MORTISE_ASSIGN_OR_RETURN(std::string payload, read_payload(each, text));
    if (out && *out != payload) return each.refuse("it is of other bytes than the first");
    out = std::move(payload);
  }
  return *std::move(out);
}

inline absl::StatusOr<schema_1_step> read_step(const json::value& layer, const std::string& compatibility,
                                               std::string_view where) {
  MORTISE_ASSIGN_OR_RETURN(const json::value blob_at, layer.member("blobSum"));
  MORTISE_ASSIGN_OR_RETURN(const std::string blob, blob_at.text());
  auto digest = model::digest::parse(blob);
  if (!digest.ok()) return blob_at.refuse(message(digest.status()));
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(compatibility, where));
  const json::value root = document.root();
  schema_1_step out{*std::move(digest), {}, {}, false, {}};
  MORTISE_ASSIGN_OR_RETURN(out.id, root.text_or("id", ""));
  MORTISE_ASSIGN_OR_RETURN(out.parent, root.text_or("parent", ""));
  MORTISE_ASSIGN_OR_RETURN(const auto empty, root.optional("throwaway"));
  if (empty) {
    MORTISE_ASSIGN_OR_RETURN(out.empty, empty->boolean());
  }
  out.history.empty_layer = out.empty;
  MORTISE_ASSIGN_OR_RETURN(out.history.created, root.text_or("created", ""));
  MORTISE_ASSIGN_OR_RETURN(out.history.comment, root.text_or("comment", ""));
  MORTISE_ASSIGN_OR_RETURN(const auto made_by, root.optional("container_config"));
  if (made_by) {
    MORTISE_ASSIGN_OR_RETURN(const auto words, made_by->texts_or_none("Cmd"));
    out.history.created_by = join(words, " ");
  }
  return out;
}

/// Each step is the parent of the one above. Docker of old could write a step twice: one of the two goes.
inline absl::Status check_order(std::vector<schema_1_step>& steps) {
  const auto refuse = [](std::string_view why) { return error(absl::StatusCode::kInvalidArgument, why); };
  const auto same = [](const schema_1_step& a, const schema_1_step& b) { return a.id == b.id; };
  steps.erase(std::unique(steps.begin(), steps.end(), same), steps.end());
  std::set<std::string_view> seen;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    if (steps[at].id.empty()) return refuse(concat("step ", at, " has no id"));
    if (!seen.insert(steps[at].id).second) return refuse(concat("step ", at, " has an id that another has"));
    const std::string_view below = at + 1 < steps.size() ? std::string_view(steps[at + 1].id) : std::string_view();
    if (steps[at].parent != below) return refuse(concat("step ", at, " does not stand on the one below it"));
  }
  return absl::OkStatus();
}

inline absl::StatusOr<schema_1_manifest> read_schema_1(const json::value& root) {
  MORTISE_ASSIGN_OR_RETURN(const json::value version_at, root.member("schemaVersion"));
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t version, version_at.count());
  if (version != 1) return version_at.refuse("it must be 1");
  for (const char* const other : {"manifests", "layers", "config", "signatures"})
    if (root.has(other)) return root.refuse(concat("'", other, "' has no place in a manifest of schema 1"));
  schema_1_manifest out;
  MORTISE_ASSIGN_OR_RETURN(out.name, root.text_or("name", ""));
  MORTISE_ASSIGN_OR_RETURN(out.tag, root.text_or("tag", ""));
  MORTISE_ASSIGN_OR_RETURN(out.architecture, root.text_or("architecture", ""));
  MORTISE_ASSIGN_OR_RETURN(const json::value layers_at, root.member("fsLayers"));
  MORTISE_ASSIGN_OR_RETURN(const auto layers, layers_at.elements());
  MORTISE_ASSIGN_OR_RETURN(const json::value history_at, root.member("history"));
  MORTISE_ASSIGN_OR_RETURN(const auto history, history_at.elements());
  if (layers.empty()) return layers_at.refuse("it is empty");
  if (layers.size() > most_schema_1_layers)
    return layers_at.refuse(concat("it has more than ", most_schema_1_layers, " elements"));
  if (layers.size() != history.size())
    return history_at.refuse(concat("it has ", history.size(), " elements where 'fsLayers' has ", layers.size()));
  std::vector<schema_1_step> steps;
  for (std::size_t at = 0; at < layers.size(); ++at) {
    MORTISE_ASSIGN_OR_RETURN(const json::value compatibility_at, history[at].member("v1Compatibility"));
    MORTISE_ASSIGN_OR_RETURN(std::string compatibility, compatibility_at.text());
    MORTISE_ASSIGN_OR_RETURN(auto step, read_step(layers[at], compatibility, concat("history[", at, "]")));
    steps.push_back(std::move(step));
    if (at == 0) out.top = std::move(compatibility);
  }
  MORTISE_RETURN_IF_ERROR(check_order(steps));
  for (auto each = steps.rbegin(); each != steps.rend(); ++each) {
    if (!each->empty) out.layers.push_back(each->blob);
    out.history.push_back(std::move(each->history));
  }
  return out;
}

inline std::string history_text(const model::history_entry& from) {
  return concat(R"({"created":)", json::quoted(from.created), R"(,"created_by":)", json::quoted(from.created_by),
                R"(,"comment":)", json::quoted(from.comment), from.empty_layer ? R"(,"empty_layer":true})" : "}");
}

}  // namespace detail

/// The bytes that a schema 1 manifest's digest is of, and that all of it is to be read from: a signed one without its
/// signatures, an unsigned one as it is. The signatures are not checked: their keys are of nobody's making but the
/// document's. It is the digest that binds.
/// Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED: "parse `subject`: ...".
inline absl::StatusOr<std::string> schema_1_payload(std::string_view text, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  auto out = detail::read_signed(document.root(), text);
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

/// Parses what `schema_1_payload` gives, after its digest was checked.
/// Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED: "parse `subject`: at 'fsLayers[0].blobSum': ...".
inline absl::StatusOr<schema_1_manifest> parse_schema_1(std::string_view payload, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(payload, subject));
  auto out = detail::read_schema_1(document.root());
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

/// The configuration that such an image has in today's form, as text. `diff_ids` are of its unpacked layers, bottom
/// first, which only pulling them tells. The same image gives the same bytes.
/// Fails with INVALID_ARGUMENT where there are not as many as layers, or the top image has what is to be put in.
inline absl::StatusOr<std::string> schema_1_config(const schema_1_manifest& from,
                                                   const std::vector<model::digest>& diff_ids) {
  const auto refuse = [](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("make a configuration of a schema 1 image: ", why));
  };
  if (diff_ids.size() != from.layers.size())
    return refuse(concat(diff_ids.size(), " diff IDs for ", from.layers.size(), " layers"));
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(from.top, "the top image"));
  MORTISE_ASSIGN_OR_RETURN(const auto names, document.root().names());
  const auto has = [&names](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (has("rootfs") || has("history")) return refuse("it has a rootfs or history of its own");
  std::vector<std::string> more;
  if (!has("architecture") && !from.architecture.empty())
    more.push_back(concat(R"("architecture":)", json::quoted(from.architecture)));
  if (!has("os")) more.emplace_back(R"("os":"linux")");
  std::vector<std::string> ids;
  ids.reserve(diff_ids.size());
  for (const model::digest& each : diff_ids) ids.push_back(json::quoted(each.text()));
  more.push_back(concat(R"("rootfs":{"type":"layers","diff_ids":[)", join(ids, ","), "]}"));
  std::vector<std::string> entries;
  entries.reserve(from.history.size());
  for (const model::history_entry& each : from.history) entries.push_back(detail::history_text(each));
  more.push_back(concat(R"("history":[)", join(entries, ","), "]"));
  // Put in before the last brace, so that every other byte stays what the image's maker wrote.
  return concat(from.top.substr(0, from.top.rfind('}')), names.empty() ? "" : ",", join(more, ","), '}');
}

}  // namespace mortise::image::distribution
