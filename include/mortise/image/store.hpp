// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A store of images: a directory shared by any number of processes, filled from the sources that the
/// composition names. Needs: RapidJSON, libcrypto, libarchive, libisal or zlib, libzstd.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/image/image_record.hpp>
#include <mortise/image/layer_pull.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/unpacked_layers.hpp>
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
};

/// Effects: `provide` resolves, verifies, unpacks; what it makes stays for all later callers.
/// Kept are manifests, configurations and unpacked layers. Layer blobs are not kept: the sources of this
/// store are local, so they can be read again.
/// Fails with: INVALID_ARGUMENT for a location no source takes; what sources, resolve and archive fail with;
/// CANCELLED.
/// Leaves behind on failure: layers that were finished; nothing else. A killed process leaves a staging
/// directory, which the next `open` removes.
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

  /// Syncs what was published to the disk, so that it survives a power cut. Slow; never needed to run.
  absl::Status settle() { return image::settle(directory_); }

  /// What the store remembers.
  [[nodiscard]] absl::StatusOr<std::vector<stored_image>> list() const {
    std::vector<stored_image> out;
    MORTISE_RETURN_IF_ERROR(sys::for_each_entry(directory_.fd(), "images", [&](std::string_view name, unsigned char) {
      if (auto record = read_record(concat("images/", name)))
        out.push_back({std::move(record->location), std::move(record->platform), std::move(record->manifest.digest)});
      return absl::OkStatus();
    }));
    std::sort(out.begin(), out.end(), [](const stored_image& a, const stored_image& b) {
      return std::tie(a.location, a.platform) < std::tie(b.location, b.platform);
    });
    return out;
  }

  /// Forgets a location, for all platforms; false where it was not known. What nothing refers to any more
  /// is for the collector.
  absl::StatusOr<bool> remove(std::string_view location) {
    MORTISE_ASSIGN_OR_RETURN(const auto images, list());
    const std::string key = canonical(location);
    bool known = false;
    for (const stored_image& each : images) {
      if (each.location != key) continue;
      known = true;
      const std::string name = image_record::name_of(each.location, each.platform);
      if (::unlinkat(directory_.fd(), name.c_str(), 0) != 0 && errno != ENOENT)
        return errno_error(errno, concat("forget image '", printable(location), '\''));
    }
    return known;
  }

 private:
  store(store_directory directory, std::tuple<Sources...> sources)
      : directory_(std::move(directory)), sources_(std::move(sources)) {}

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

  [[nodiscard]] std::string canonical(std::string_view location) const {
    std::string out(location);
    const auto ask = [&](const auto& each) { return each.accepts(location) && (out = each.canonical(location), true); };
    std::apply([&](const Sources&... each) { (void)(ask(each) || ...); }, sources_);
    return out;
  }

  /// What an unchanged origin was resolved to before costs no question to it.
  template <class Format, class Progress>
  absl::StatusOr<model::image> provide_from(const found_origin& from, const provide_options& options, Progress& hear) {
    const model::platform platform = options.platform ? *options.platform : model::host_platform();
    if (const auto known = recall(from, platform)) {
      if (auto layers = layer_pull<Format, Progress>(directory_, *from.opened, *known, options, hear).ready())
        return finished(*known, *std::move(layers));
    }
    MORTISE_ASSIGN_OR_RETURN(const auto image, resolve(*from.opened, platform));
    MORTISE_ASSIGN_OR_RETURN(auto layers,
                             (layer_pull<Format, Progress>(directory_, *from.opened, image, options, hear).run()));
    MORTISE_RETURN_IF_ERROR(remember(from, platform, image));
    return finished(image, std::move(layers));
  }

  static model::image finished(const resolved_image& from, model::layers layers) {
    return {{}, from.manifest.digest, from.config.parsed, std::move(layers)};
  }

  [[nodiscard]] std::optional<image_record> read_record(const std::string& name) const {
    const auto text = sys::read_file_at(directory_.fd(), name, 64 << 10);
    return text.ok() ? image_record::parse(*text) : std::nullopt;
  }

  [[nodiscard]] std::optional<resolved_image> recall(const found_origin& from, const model::platform& platform) const {
    const std::string fingerprint = from.opened->fingerprint();
    if (fingerprint.empty()) return std::nullopt;
    auto record = read_record(image_record::name_of(from.key, platform.text()));
    if (!record || record->fingerprint != fingerprint) return std::nullopt;
    stored_blobs blobs(directory_, std::move(record->manifest));
    auto image = read_image(blobs);
    if (!image.ok()) return std::nullopt;  // damaged or gone: ask the origin
    return *std::move(image);
  }

  /// Keeps the documents, then the record that leads to them. Nothing is written where nothing changed.
  absl::Status remember(const found_origin& from, const model::platform& platform, const resolved_image& image) {
    const image_record record{from.key, platform.text(), descriptor_of(image.manifest), from.opened->fingerprint()};
    const auto known = read_record(record.name());
    if (known && known->text() == record.text()) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const staging through, directory_.stage());
    const auto keep = [&](const model::digest& digest, std::string_view text) {
      return directory_.publish_file(through, store_directory::blob_name(digest), text);
    };
    MORTISE_RETURN_IF_ERROR(keep(image.config.digest, image.config.text));
    MORTISE_RETURN_IF_ERROR(keep(image.manifest.digest, image.manifest.text));
    return directory_.publish_file(through, record.name(), record.text());
  }

  static model::descriptor descriptor_of(const document<model::manifest>& of) {
    return {of.parsed.type, of.digest, of.text.size(), {}, {}, {}, {}, {}};
  }

  store_directory directory_;
  std::tuple<Sources...> sources_;
};

}  // namespace mortise::image
