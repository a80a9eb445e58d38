// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// From what a location names to one image that can run: nested indexes, the choice of platform, and the
/// agreement of manifest and configuration. Needs: RapidJSON, libcrypto.

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/image_config.hpp>
#include <mortise/model/manifest.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image {

/// A document with the exact bytes it was parsed from, which are what its digest is of.
template <class Parsed>
struct document {
  model::digest digest;
  std::string text;
  Parsed parsed;
};

/// An image that was chosen and checked, its layers not yet touched.
struct resolved_image {
  document<model::manifest> manifest;
  document<model::image_config> config;
};

/// The most bytes of a manifest, index or configuration.
inline constexpr std::size_t most_document_bytes = std::size_t{8} << 20;

/// A small blob, verified. Size is checked before anything is read.
inline absl::StatusOr<std::string> read_document(origin& from, const model::descriptor& blob, std::string_view what) {
  if (blob.data) return *blob.data;
  if (blob.size > most_document_bytes)
    return error(
        absl::StatusCode::kResourceExhausted,
        concat("read ", what, ": its ", blob.size, " bytes are more than the ", most_document_bytes, " allowed"));
  auto opened = from.open_blob(blob);
  if (!opened.ok()) return annotate(opened.status(), concat("read ", what));
  digest::verifying_reader<digest::openssl> verified(**opened, blob.digest, blob.size, std::string(what));
  return read_text(verified, most_document_bytes);
}

namespace detail {

inline absl::StatusOr<document<oci::manifest_or_index>> read_manifest(origin& from, const model::descriptor& at) {
  const std::string what = concat(role_of(at.type) == role::index ? "index " : "manifest ", at.digest.text());
  MORTISE_ASSIGN_OR_RETURN(std::string text, read_document(from, at, what));
  MORTISE_ASSIGN_OR_RETURN(auto parsed, oci::parse_manifest(text, what, at.type));
  return document<oci::manifest_or_index>{at.digest, std::move(text), std::move(parsed)};
}

/// What an image must be to run; said by its first part that is not.
inline absl::Status check_runnable(const model::manifest& manifest) {
  const auto refuse = [](std::string_view why) { return error(absl::StatusCode::kFailedPrecondition, why); };
  if (manifest.config.type == media::docker_plugin)
    return refuse("it is a Docker plugin, not an image that can be run");
  if (role_of(manifest.config.type) != role::config)
    return refuse(concat("it is an artifact, not an image that can be run: its configuration is ",
                         printable(manifest.config.type.text())));
  for (std::size_t at = 0; at < manifest.layers.size(); ++at) {
    const role kind = role_of(manifest.layers[at].type);
    if ((kind == role::appc_layer) != (role_of(manifest.layers.front().type) == role::appc_layer))
      return refuse("some of its layers are Appc images and some are not");
    if (kind != role::layer && kind != role::foreign_layer && kind != role::appc_layer)
      return refuse(concat("layer ", at + 1, " of ", manifest.layers.size(), " has the unknown media type ",
                           printable(manifest.layers[at].type.text())));
  }
  return absl::OkStatus();
}

/// Docker's history counts the layers a second time; where it is kept the two must agree.
inline absl::Status check_agreement(const model::manifest& manifest, const model::image_config& config) {
  const auto refuse = [](std::string_view why) { return error(absl::StatusCode::kDataLoss, why); };
  if (config.diff_ids.size() != manifest.layers.size())
    return refuse(concat("its manifest has ", manifest.layers.size(), " layers, its configuration ",
                         config.diff_ids.size(), " diff IDs"));
  if (manifest.config.type != media::docker_config || config.history.empty()) return absl::OkStatus();
  const auto made = std::count_if(config.history.begin(), config.history.end(),
                                  [](const model::history_entry& each) { return !each.empty_layer; });
  if (static_cast<std::size_t>(made) != config.diff_ids.size())
    return refuse(
        concat("its history makes ", made, " layers, its configuration has ", config.diff_ids.size(), " diff IDs"));
  return absl::OkStatus();
}

/// By the layers of a manifest that is runnable.
inline oci::image_kind kind_of(const model::manifest& manifest) {
  const bool appc = !manifest.layers.empty() && role_of(manifest.layers.front().type) == role::appc_layer;
  return appc ? oci::image_kind::appc : oci::image_kind::oci;
}

/// A manifest's image, checked. `manifest` is the alternative that `of` holds.
inline absl::StatusOr<resolved_image> complete(origin& from, document<oci::manifest_or_index> of) {
  auto* const manifest = std::get_if<model::manifest>(&of.parsed);
  const std::string subject = concat("image ", of.digest.text());
  if (manifest == nullptr)
    return error(absl::StatusCode::kInvalidArgument, concat("resolve ", subject, ": it is an index"));
  if (const absl::Status status = check_runnable(*manifest); !status.ok())
    return annotate(status, concat("resolve ", subject));
  const std::string what = concat("configuration ", manifest->config.digest.text());
  MORTISE_ASSIGN_OR_RETURN(std::string text, read_document(from, manifest->config, what));
  MORTISE_ASSIGN_OR_RETURN(auto config, oci::parse_config(text, what, kind_of(*manifest)));
  if (const absl::Status status = check_agreement(*manifest, config); !status.ok())
    return annotate(status, concat("resolve ", subject));
  const model::digest config_digest = manifest->config.digest;
  return resolved_image{{of.digest, std::move(of.text), std::move(*manifest)},
                        {config_digest, std::move(text), std::move(config)}};
}

/// Gathers the images below some descriptors.
class gatherer {
 public:
  explicit gatherer(origin& from) : from_(from) {}

  absl::Status visit(const std::vector<model::descriptor>& list, unsigned depth = 0) {
    if (depth > most_depth)
      return error(absl::StatusCode::kResourceExhausted,
                   concat("resolve image: indexes are nested deeper than ", most_depth));
    for (const model::descriptor& each : list) {
      if (++count_ > oci::most_descriptors)
        return error(absl::StatusCode::kResourceExhausted,
                     concat("resolve image: its indexes list more than ", oci::most_descriptors, " manifests"));
      MORTISE_RETURN_IF_ERROR(visit_one(each, depth));
    }
    return absl::OkStatus();
  }

  std::vector<model::descriptor> images;

 private:
  static constexpr unsigned most_depth = 4;

  /// Attestations pose as images for a platform that nobody has; unknown types are for others to understand.
  static bool is_attestation(const model::descriptor& each) {
    return (each.platform && each.platform->os == "unknown" && each.platform->architecture == "unknown") ||
           model::find(each.annotations, "vnd.docker.reference.type") == "attestation-manifest";
  }

  absl::Status visit_one(const model::descriptor& each, unsigned depth) {
    const role kind = role_of(each.type);
    if (is_attestation(each) || (kind != role::manifest && kind != role::index && kind != role::schema_1)) {
      skipped = each.type.text();
      return absl::OkStatus();
    }
    // Seen before: adds no choice, and an index that were to contain itself would end here.
    if (!seen_.insert(each.digest.text()).second) return absl::OkStatus();
    if (kind != role::index) {
      images.push_back(each);
      return absl::OkStatus();
    }
    MORTISE_ASSIGN_OR_RETURN(const auto nested, read_manifest(from_, each));
    return visit(std::get<model::index>(nested.parsed).manifests, depth + 1);
  }

 public:
  std::string skipped;  ///< the type of the last entry that was no image

 private:
  origin& from_;
  std::set<std::string> seen_;
  std::size_t count_ = 0;
};

/// What is on offer, for a message: a stranger's words, of which there may be thousands.
inline void note_offer(std::set<std::string>& offered, const model::platform& more) {
  constexpr std::size_t most = 50;
  if (offered.size() < most) offered.insert(printable(more.text(), 160));
}

inline absl::Status no_platform(const model::platform& wanted, const std::set<std::string>& offered) {
  return error(absl::StatusCode::kNotFound, concat("choose an image for ", wanted.text(), ": it is offered for ",
                                                   join(offered, ", "), " (name one of these as the platform)"));
}

/// Finds the best of several images for a platform.
class chooser {
 public:
  chooser(origin& from, const model::platform& wanted) : from_(from), wanted_(wanted) {}

  /// By what the index says of an image, else by what its configuration does.
  absl::Status offer(const model::descriptor& image) {
    if (image.platform) return take_better(image, rank_of(*image.platform), {}), absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(auto manifest, read_manifest(from_, image));
    // Thousands of manifests may share a configuration of megabytes: it is read once.
    const auto* const parsed = std::get_if<model::manifest>(&manifest.parsed);
    const std::string config = parsed != nullptr ? parsed->config.digest.text() : std::string();
    if (const auto known = ranks_.find(config); known != ranks_.end())
      return take_better(image, known->second, {}), absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(auto read, complete(from_, std::move(manifest)));
    const auto rank = ranks_.emplace(config, rank_of(read.config.parsed.platform)).first->second;
    take_better(image, rank, std::move(read));
    return absl::OkStatus();
  }

  absl::StatusOr<resolved_image> take() {
    if (best_ == nullptr) return no_platform(wanted_, offered_);
    if (read_) return *std::move(read_);
    MORTISE_ASSIGN_OR_RETURN(auto manifest, read_manifest(from_, *best_));
    return complete(from_, std::move(manifest));
  }

 private:
  std::optional<unsigned> rank_of(const model::platform& platform) {
    note_offer(offered_, platform);
    return model::rank(wanted_, platform);
  }

  void take_better(const model::descriptor& image, std::optional<unsigned> rank, std::optional<resolved_image> read) {
    if (!rank || (best_ != nullptr && *rank >= best_rank_)) return;
    best_ = &image;
    best_rank_ = *rank;
    read_ = std::move(read);
  }

  origin& from_;
  const model::platform& wanted_;
  std::map<std::string, std::optional<unsigned>> ranks_;  ///< by the configuration's digest
  std::set<std::string> offered_;
  const model::descriptor* best_ = nullptr;
  unsigned best_rank_ = 0;
  std::optional<resolved_image> read_;  ///< the best, where it had to be read to be judged
};

}  // namespace detail

/// The manifest that is the one root of `from`, whatever it is of.
/// Fails with INVALID_ARGUMENT for an index, else as `read_image`.
inline absl::StatusOr<document<model::manifest>> read_root(origin& from) {
  MORTISE_ASSIGN_OR_RETURN(const auto roots, from.roots());
  MORTISE_ASSIGN_OR_RETURN(auto of, detail::read_manifest(from, roots.front()));
  auto* const manifest = std::get_if<model::manifest>(&of.parsed);
  if (manifest == nullptr)
    return error(absl::StatusCode::kInvalidArgument, concat("read ", of.digest.text(), ": it is an index"));
  return document<model::manifest>{of.digest, std::move(of.text), std::move(*manifest)};
}

/// The image whose manifest is the one root of `from`, whatever its platform.
inline absl::StatusOr<resolved_image> read_image(origin& from) {
  MORTISE_ASSIGN_OR_RETURN(const auto roots, from.roots());
  MORTISE_ASSIGN_OR_RETURN(auto manifest, detail::read_manifest(from, roots.front()));
  return detail::complete(from, std::move(manifest));
}

/// Resolves what `from` names to the image that `wanted` runs best. Every document is verified.
/// Fails with: NOT_FOUND where no platform fits, listing those on offer; DATA_LOSS for altered content;
/// FAILED_PRECONDITION for what is no image; INVALID_ARGUMENT for malformed documents.
inline absl::StatusOr<resolved_image> resolve(origin& from, const model::platform& wanted) {
  MORTISE_ASSIGN_OR_RETURN(const auto roots, from.roots());
  detail::gatherer found(from);
  MORTISE_RETURN_IF_ERROR(found.visit(roots));
  if (found.images.empty())
    return error(absl::StatusCode::kFailedPrecondition,
                 found.skipped.empty()
                     ? std::string("resolve image: its index is empty")
                     : concat("resolve image: nothing in it is an image (it holds ", printable(found.skipped), ')'));
  detail::chooser images(from, wanted);
  for (const model::descriptor& each : found.images) MORTISE_RETURN_IF_ERROR(images.offer(each));
  return images.take();
}

/// What speaks against an image that was chosen for a platform by its index: its own configuration says another. Many
/// images are labelled so and run nevertheless, so nobody is refused for it.
inline std::optional<std::string> platform_warning(const resolved_image& image, const model::platform& wanted) {
  const model::platform& own = image.config.parsed.platform;
  if (model::rank(wanted, own)) return std::nullopt;
  return concat("its index has it for ", wanted.text(), ", and its configuration says ", printable(own.text()),
                ": it may not run");
}

/// What `from` names as an artifact: a manifest of anything, whose platform, if it says one, is the best for `wanted`.
/// Fails with: NOT_FOUND where no platform fits, listing those on offer; FAILED_PRECONDITION where nothing is a
/// manifest; else as `resolve`.
inline absl::StatusOr<document<model::manifest>> resolve_artifact(origin& from, const model::platform& wanted) {
  MORTISE_ASSIGN_OR_RETURN(const auto roots, from.roots());
  detail::gatherer found(from);
  MORTISE_RETURN_IF_ERROR(found.visit(roots));
  const model::descriptor* best = nullptr;
  std::optional<unsigned> best_rank;
  std::set<std::string> offered;
  for (const model::descriptor& each : found.images) {
    if (each.platform) detail::note_offer(offered, *each.platform);
    const auto rank = each.platform ? model::rank(wanted, *each.platform) : std::optional<unsigned>(0);
    if (!rank || (best_rank && *rank >= *best_rank)) continue;
    best_rank = rank;
    best = &each;
  }
  if (found.images.empty())
    return error(absl::StatusCode::kFailedPrecondition, "resolve artifact: nothing in it is a manifest");
  if (best == nullptr) return detail::no_platform(wanted, offered);
  MORTISE_ASSIGN_OR_RETURN(auto of, detail::read_manifest(from, *best));
  return document<model::manifest>{of.digest, std::move(of.text), std::get<model::manifest>(std::move(of.parsed))};
}

}  // namespace mortise::image
