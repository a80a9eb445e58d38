// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A store of images: a directory shared by any number of processes, filled from the sources that the
/// composition names. Needs: RapidJSON, libcrypto, libarchive, libisal or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/image/artifact.hpp>
#include <mortise/image/collector.hpp>
#include <mortise/image/image_record.hpp>
#include <mortise/image/inventory.hpp>
#include <mortise/image/layer_pull.hpp>
#include <mortise/image/lease.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/unpacked_layers.hpp>
#include <mortise/image/verify.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace mortise::image {

/// One remembered image, as `list` shows it.
struct stored_image {
  std::string location;
  std::string platform;
  model::digest manifest;
  std::chrono::sys_seconds used;  ///< last, as far as the clock was right
  bool pinned = false;
};

/// Effects: `provide` resolves, fetches, verifies, unpacks; what it makes stays for all later callers, until `collect`
/// finds that it is not needed. Kept are manifests, configurations, unpacked layers, and the blobs of layers that were
/// fetched; what lies on this host is read where it lies. An image that is provided is leased to its holder, so
/// collecting may go on beside.
/// Fails with: INVALID_ARGUMENT for a location no source takes; what sources, resolve and archive fail with;
/// CANCELLED.
/// Leaves behind on failure: layers that were finished, and what came of blobs, to go on with; nothing else. A killed
/// process leaves a staging directory, which the next `open` removes.
template <source... Sources>
class store {
 public:
  /// `directory` is made where it is missing.
  static absl::StatusOr<store> open(const std::string& directory, Sources... sources) {
    MORTISE_ASSIGN_OR_RETURN(store_directory opened, store_directory::open(directory));
    return store(std::move(opened), std::tuple<Sources...>(std::move(sources)...));
  }
  static absl::StatusOr<store> open(const std::string& directory)
    requires(sizeof...(Sources) > 0 && (std::default_initializable<Sources> && ...))
  {
    return open(directory, Sources{}...);
  }

  [[nodiscard]] const std::string& path() const { return directory_.path(); }

  /// Makes the image at `location` ready for a backend that reads `Format`.
  template <class Format, class Progress = no_progress>
  absl::StatusOr<model::image> provide(std::string_view location, const provide_options& options = {},
                                       Progress&& hear = {}) {
    MORTISE_ASSIGN_OR_RETURN(const found_origin from, open_origin(location));
    auto image = provide_from<Format>(from, options, hear);
    if (!image.ok()) return annotate(image.status(), concat("provide image '", printable(location), '\''));
    image->location = location;
    return image;
  }

  /// Brings what is at `location` into the store as it is, an artifact or an image: every blob verified, none unpacked.
  absl::StatusOr<artifact> fetch(std::string_view location, const provide_options& options = {}) {
    MORTISE_ASSIGN_OR_RETURN(const found_origin from, open_origin(location));
    auto out = fetch_from(from, options);
    if (!out.ok()) return annotate(out.status(), concat("fetch '", printable(location), '\''));
    out->location = location;
    return out;
  }

  /// Syncs what was published to the disk, so that it survives a power cut. Slow; never needed to run.
  absl::Status settle() { return image::settle(directory_); }

  /// What the store remembers.
  [[nodiscard]] absl::StatusOr<std::vector<stored_image>> list() const {
    MORTISE_ASSIGN_OR_RETURN(auto images, list_images(directory_));
    std::vector<stored_image> out;
    out.reserve(images.size());
    for (remembered_image& each : images)
      out.push_back({std::move(each.record.location), std::move(each.record.platform),
                     std::move(each.record.manifest.digest), each.used, each.pinned});
    return out;
  }

  /// Forgets a location, for all platforms; false where it was not known. What nothing refers to any more
  /// is for `collect`.
  absl::StatusOr<bool> remove(std::string_view location) {
    MORTISE_ASSIGN_OR_RETURN(const auto images, list_images(directory_));
    const std::string key = canonical(location);
    bool known = false;
    for (const remembered_image& each : images) {
      if (each.record.location != key) continue;
      known = true;
      for (const std::string& name : {each.name, pin_name(key)})
        if (::unlinkat(directory_.fd(), name.c_str(), 0) != 0 && errno != ENOENT)
          return errno_error(errno, concat("forget image '", printable(location), '\''));
    }
    return known;
  }

  /// A location as the store remembers it; as it is where no source takes it.
  [[nodiscard]] std::string canonical(std::string_view location) const {
    std::string out(location);
    const auto ask = [&](const auto& each) { return each.accepts(location) && (out = each.canonical(location), true); };
    std::apply([&](const Sources&... each) { (void)(ask(each) || ...); }, sources_);
    return out;
  }

  /// From now on `collect` leaves the images of a location alone, known or yet to come; or no longer.
  absl::Status pin(std::string_view location) {
    const std::string key = canonical(location);
    MORTISE_ASSIGN_OR_RETURN(const staging through, directory_.stage());
    return directory_.publish_file(through, pin_name(key), key);
  }
  absl::Status unpin(std::string_view location) {
    if (::unlinkat(directory_.fd(), pin_name(canonical(location)).c_str(), 0) == 0 || errno == ENOENT)
      return absl::OkStatus();
    return errno_error(errno, concat("unpin image '", printable(location), '\''));
  }

  /// Garbage collection: collector.hpp.
  absl::StatusOr<collection> collect(const collect_options& options = {}) const {
    return image::collect(directory_, options);
  }

  /// Hashes every blob again, and compares every layer that is unpacked in one of `Formats` with what its blob gives.
  /// With `repair` damaged parts are taken out and their images provided anew; a blob whose layer lies unpacked is
  /// fetched again when it is needed.
  /// Fails with CANCELLED, or where the store cannot be listed; what is damaged is no failure but the answer.
  template <class... Formats>
  absl::StatusOr<verification> verify(const verify_options& options = {}) {
    auto out = verify_and_repair<Formats...>(options);
    if (!out.ok()) return annotate(out.status(), concat("verify store '", path(), '\''));
    return out;
  }

  /// For what looks at a store as a whole: inventory.hpp, usage.hpp.
  [[nodiscard]] const store_directory& directory() const { return directory_; }

 private:
  store(store_directory directory, std::tuple<Sources...> sources)
      : directory_(std::move(directory)), sources_(std::move(sources)) {}

  template <class... Formats>
  absl::StatusOr<verification> verify_and_repair(const verify_options& options) {
    detail::verifier run(directory_, options, [this](const std::string& location) { return open_local(location); });
    MORTISE_RETURN_IF_ERROR(run.begin());
    MORTISE_RETURN_IF_ERROR(run.verify_blobs());
    absl::Status status;
    ((void)(status.ok() && (status = run.template verify_layers<Formats>(), true)), ...);
    if (!status.ok()) return status;
    if (!options.repair) return std::move(run.out());
    MORTISE_ASSIGN_OR_RETURN(const auto lacking, run.remove());
    for (const remembered_image& each : run.images()) {
      if (!lacking.contains(each.record.location)) continue;
      const absl::Status repaired = repair<Formats...>(each.record, options);
      if (repaired.ok()) run.out().pulled.push_back(each.record.location);
      if (!repaired.ok()) run.out().problems.emplace_back(message(repaired));
    }
    return std::move(run.out());
  }

  /// Provides an image anew in each format that the store has layers of. An artifact, or where there is no such format,
  /// is kept as it is.
  template <class... Formats>
  absl::Status repair(const image_record& image, const verify_options& options) {
    const auto platform = model::parse_platform(image.platform);
    const provide_options again{.platform = platform.ok() ? std::optional(*platform) : std::nullopt,
                                .cancelled = options.cancelled};
    absl::Status status = error(absl::StatusCode::kFailedPrecondition, "nothing is unpacked");
    const auto provide_as = [&]<class Format>() {
      const std::string layers = concat("layers/", Format::name);
      if (::faccessat(directory_.fd(), layers.c_str(), F_OK, 0) != 0) return true;  // never used
      status = provide<Format>(image.location, again).status();
      return status.ok();
    };
    (void)(provide_as.template operator()<Formats>() && ...);
    return absl::IsFailedPrecondition(status) ? fetch(image.location, again).status() : status;
  }

  [[nodiscard]] std::unique_ptr<origin> open_local(const std::string& location) const {
    auto found = open_origin(location);
    if (!found.ok() || found->opened->is_elsewhere() || !found->opened->roots().ok()) return nullptr;
    return std::move(found->opened);
  }

  struct found_origin {
    std::unique_ptr<origin> opened;
    std::string key;  ///< the location as the store remembers it
  };

  /// The first source that takes the location opens it.
  absl::StatusOr<found_origin> open_origin(std::string_view location) const {
    std::optional<absl::StatusOr<std::unique_ptr<origin>>> opened;
    const auto ask = [&](const auto& each) {
      if (!opened && each.accepts(location)) opened = each.open(location, directory_.staging_path());
    };
    std::apply([&](const Sources&... each) { (ask(each), ...); }, sources_);
    if (!opened)
      return error(absl::StatusCode::kInvalidArgument,
                   concat("open image '", printable(location), "': no source of this store takes it (write ",
                          join(std::array<std::string_view, sizeof...(Sources)>{Sources::form...}, " or "), ')'));
    if (!opened->ok()) return annotate(opened->status(), concat("open image '", printable(location), '\''));
    return found_origin{**std::move(opened), canonical(location)};
  }

  /// What an unchanged origin was resolved to before costs no question to it.
  template <class Format, class Progress>
  absl::StatusOr<model::image> provide_from(const found_origin& from, const provide_options& options, Progress& hear) {
    const model::platform platform = options.platform ? *options.platform : model::host_platform();
    if (auto known = recall(from, platform, options.refresh)) {
      if (auto layers = layer_pull<Format, Progress>(directory_, *from.opened, known->image, options, hear).ready())
        return finished(std::move(*known), *std::move(layers));
    }
    if (options.refresh == refresh::never)
      return error(absl::StatusCode::kNotFound,
                   concat("it is not in the store for ", platform.text(), " (pull it first)"));
    from.opened->heed(options.cancelled);
    MORTISE_ASSIGN_OR_RETURN(auto image, resolve(*from.opened, platform));
    if (const auto text = platform_warning(image, platform); text && options.warn)
      options.warn(concat(printable(from.key), ": ", *text));
    MORTISE_ASSIGN_OR_RETURN(auto held, keep(image.manifest, image.config.text));
    MORTISE_ASSIGN_OR_RETURN(auto layers,
                             (layer_pull<Format, Progress>(directory_, *from.opened, image, options, hear).run()));
    MORTISE_RETURN_IF_ERROR(remember(from, platform, image.manifest));
    return finished({std::move(image), std::move(held)}, std::move(layers));
  }

  absl::StatusOr<artifact> fetch_from(const found_origin& from, const provide_options& options) {
    const model::platform platform = options.platform ? *options.platform : model::host_platform();
    from.opened->heed(options.cancelled);
    MORTISE_ASSIGN_OR_RETURN(auto root, resolve_artifact(*from.opened, platform));
    const auto part = [this](const model::descriptor& each) {
      return artifact_part{each, concat(path(), '/', store_directory::blob_name(each.digest))};
    };
    artifact out{{}, root.digest, root.parsed, part(root.parsed.config), {}, {}};
    for (const model::descriptor& each : root.parsed.layers) out.parts.push_back(part(each));
    std::optional<std::string> config;  // of an image: from it the collector learns what of it may lie unpacked
    if (role_of(root.parsed.config.type) == role::config) {
      MORTISE_ASSIGN_OR_RETURN(config, read_document(*from.opened, root.parsed.config, "configuration"));
    }
    MORTISE_ASSIGN_OR_RETURN(out.held, keep(root, config));
    std::vector<model::descriptor> blobs{root.parsed.config};
    blobs.insert(blobs.end(), root.parsed.layers.begin(), root.parsed.layers.end());
    MORTISE_RETURN_IF_ERROR(detail::blob_pull(directory_, *from.opened, options).run(blobs));
    MORTISE_RETURN_IF_ERROR(remember(from, platform, root));
    return out;
  }

  /// A resolved image whose parts cannot go.
  struct held_image {
    resolved_image image;
    std::shared_ptr<model::hold> held;
  };

  static model::image finished(held_image from, model::layers layers) {
    return {
        {}, from.image.manifest.digest, std::move(from.image.config.parsed), std::move(layers), std::move(from.held)};
  }

  /// The record that answers for the origin without a question to it. A place that only asking can tell of costs no
  /// look at records either: launches from a layout come here.
  [[nodiscard]] std::optional<remembered_image> answer_for(const found_origin& from, const model::platform& platform,
                                                           refresh when) const {
    const origin& asked = *from.opened;
    if (asked.must_be_asked()) return std::nullopt;
    const bool whatever = when == refresh::never || (when == refresh::missing && asked.is_elsewhere());
    const std::string fingerprint = whatever ? std::string() : asked.fingerprint();
    if (!whatever && fingerprint.empty()) return std::nullopt;
    auto known = read_image_record(directory_, image_record::name_of(from.key, platform.text()));
    if (known && !whatever && known->record.fingerprint != fingerprint) return std::nullopt;
    return known;
  }

  /// Leases what was remembered, then looks whether it is there: it may be collected at any time before.
  [[nodiscard]] std::optional<held_image> recall(const found_origin& from, const model::platform& platform,
                                                 refresh when) const {
    const auto known = answer_for(from, platform, when);
    if (!known) return std::nullopt;
    stored_blobs blobs(directory_, known->record.manifest);
    auto image = read_image(blobs);
    if (!image.ok()) return std::nullopt;  // damaged or gone: ask the origin
    const auto shared = gate::share(directory_);
    if (!shared.ok()) return std::nullopt;
    auto held = lease::take(directory_, *shared, {known->record.manifest, image->config.digest});
    if (!held.ok()) return std::nullopt;
    mark_used(*known);
    return held_image{*std::move(image), *std::move(held)};
  }

  /// Minutes are enough to tell what was used least recently.
  void mark_used(const remembered_image& image) const {
    const auto now = std::chrono::system_clock::now();
    const bool recent = now >= image.used && now - image.used < std::chrono::minutes(1);
    if (!recent) ::utimensat(directory_.fd(), image.name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
  }

  /// Leases an image and keeps its documents, in one step for the collector: it learns from them what else is leased.
  /// Without a configuration only the blobs of the manifest are.
  absl::StatusOr<std::shared_ptr<model::hold>> keep(const document<model::manifest>& root,
                                                    std::optional<std::string_view> config) const {
    MORTISE_ASSIGN_OR_RETURN(const gate shared, gate::share(directory_));
    MORTISE_ASSIGN_OR_RETURN(auto held,
                             lease::take(directory_, shared, {descriptor_of(root), root.parsed.config.digest}));
    if (config) MORTISE_RETURN_IF_ERROR(keep_document(root.parsed.config.digest, *config));
    MORTISE_RETURN_IF_ERROR(keep_document(root.digest, root.text));
    return held;
  }

  /// Not written where it is there already, byte for byte. Not synced either: it is verified when it is read, and asked
  /// for again where a power cut took it.
  absl::Status keep_document(const model::digest& digest, std::string_view text) const {
    const std::string name = store_directory::blob_name(digest);
    const auto there = sys::read_file_at(directory_.fd(), name, most_document_bytes);
    if (there.ok() && *there == text) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const staging through, directory_.stage());
    return directory_.publish_file(through, name, text, false);
  }

  /// Keeps the record that leads to an image. Nothing is written where nothing changed.
  absl::Status remember(const found_origin& from, const model::platform& platform,
                        const document<model::manifest>& root) {
    const image_record record{from.key, platform.text(), descriptor_of(root), from.opened->fingerprint()};
    const auto known = read_image_record(directory_, record.name());
    if (known && known->record.text() == record.text()) return mark_used(*known), absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const staging through, directory_.stage());
    return directory_.publish_file(through, record.name(), record.text());
  }

  static model::descriptor descriptor_of(const document<model::manifest>& of) {
    return {of.parsed.type, of.digest, of.text.size(), {}, {}, {}, {}, {}};
  }

  store_directory directory_;
  std::tuple<Sources...> sources_;
};

}  // namespace mortise::image
