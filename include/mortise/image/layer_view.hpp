// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a layer's blob means beyond its bytes: an Appc image's tar is seen through its `rootfs` and a whitelist, so the
/// same bytes may become several trees, each kept under a key of its own. Needs: RapidJSON, libcrypto.

#include <mortise/archive/apply_request.hpp>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/appc/path_filter.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// The annotation of an Appc layer with its whitelist: a JSON array of absolute paths. Without it all shows.
inline constexpr std::string_view appc_paths_annotation = "io.github.mortise.appc.paths";

/// What stands for the unpacked form of the layer that `blob` describes and whose uncompressed tar has the digest
/// `diff_id`: wherever a diff ID would, also in chain IDs. Of OCI's and Docker's layers it is the diff ID.
inline model::digest tree_key(const model::descriptor& blob, const model::digest& diff_id) {
  if (role_of(blob.type) != role::appc_layer) return diff_id;
  const std::string_view paths = model::find(blob.annotations, appc_paths_annotation).value_or("");
  return digest::of(concat("appc rootfs\n", diff_id.text(), '\n', paths));
}

namespace detail {

inline absl::StatusOr<std::vector<std::string>> read_appc_paths(std::string_view text) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, appc_paths_annotation));
  auto paths = document.root().texts();
  if (!paths.ok()) return annotate(paths.status(), concat("parse ", appc_paths_annotation));
  for (const std::string& each : *paths)
    if (!each.starts_with('/'))
      return error(absl::StatusCode::kInvalidArgument,
                   concat("parse ", appc_paths_annotation, ": '", printable(each), "' is not an absolute path"));
  return paths;
}

}  // namespace detail

/// For archive::apply_request: what of a layer's tar is unpacked; nothing where all of it is.
/// Fails with INVALID_ARGUMENT for a whitelist that is none, RESOURCE_EXHAUSTED for one past the limits of JSON.
inline absl::StatusOr<std::optional<archive::subtree>> subtree_of(const model::descriptor& blob) {
  if (role_of(blob.type) != role::appc_layer) return std::optional<archive::subtree>{};
  std::optional<archive::subtree> out(archive::subtree{"rootfs"});
  const auto paths = model::find(blob.annotations, appc_paths_annotation);
  if (!paths) return out;
  MORTISE_ASSIGN_OR_RETURN(auto list, detail::read_appc_paths(*paths));
  if (list.empty()) list.emplace_back("/");  // to a filter an empty list would be none
  out->shows = [filter = appc::path_filter().narrowed(std::move(list))](std::string_view path) {
    return filter.shows(concat('/', path));
  };
  return out;
}

}  // namespace mortise::image
