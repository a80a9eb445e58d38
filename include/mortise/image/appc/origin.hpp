// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An Appc image and all that it depends on, opened as one image of OCI.
/// Needs: RapidJSON, libarchive, libcrypto, libbz2, liblzma, libisal or zlib, libzstd.

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/conversion.hpp>
#include <mortise/image/appc/render.hpp>
#include <mortise/image/appc/stored_aci.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/source.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// Finds the images of one opened location. An image that two look-ups find is kept once.
class image_finder {
 public:
  image_finder() = default;
  image_finder(const image_finder&) = delete;
  image_finder& operator=(const image_finder&) = delete;
  virtual ~image_finder() = default;

  /// The image that the location names.
  virtual absl::StatusOr<stored_aci> find_main() = 0;
  /// One that `for_image` depends on.
  virtual absl::StatusOr<stored_aci> find(const dependency& wanted, const stored_aci& for_image) = 0;
  /// As origin has them.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  [[nodiscard]] virtual bool is_elsewhere() const = 0;
  [[nodiscard]] virtual bool must_be_asked() const = 0;
  virtual void heed(const std::atomic<bool>* cancelled) = 0;
};

class image_origin final : public origin {
 public:
  explicit image_origin(std::unique_ptr<image_finder> finder, const archive::limits& caps = {})
      : finder_(std::move(finder)), limits_(caps) {}

  absl::StatusOr<std::vector<model::descriptor>> roots() override {
    MORTISE_ASSIGN_OR_RETURN(const stored_aci main, finder_->find_main());
    MORTISE_ASSIGN_OR_RETURN(const found_image image, keep(main));
    const auto look_up = [&](const dependency& wanted) -> absl::StatusOr<found_image> {
      const std::string key = name_of(wanted);
      const auto known = answers_.find(key);
      if (known != answers_.end()) return known->second;
      MORTISE_ASSIGN_OR_RETURN(const stored_aci found, finder_->find(wanted, main));
      MORTISE_ASSIGN_OR_RETURN(auto kept, keep(found));
      return answers_.emplace(key, std::move(kept)).first->second;
    };
    MORTISE_ASSIGN_OR_RETURN(const auto order, rendering_order(image, look_up));
    std::vector<tar_layer> layers;
    layers.reserve(order.size());
    for (const rendered_layer& each : order)
      layers.push_back({each.image.id, acis_.at(each.image.id.digest().text()).about->size, each.filter});
    MORTISE_ASSIGN_OR_RETURN(documents_, convert(main.about->manifest, main.about->manifest_text, layers));
    return std::vector<model::descriptor>{documents_->manifest};
  }

  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    if (documents_ && blob.digest == documents_->config_digest)
      return std::make_unique<text_reader>(documents_->config);
    const auto found = acis_.find(blob.digest.text());
    if (found != acis_.end()) return tar_of_aci::open(found->second, limits_);
    return error(absl::StatusCode::kNotFound, concat("open blob ", blob.digest.text(), ": it is not there"));
  }

  [[nodiscard]] std::string fingerprint() const override { return finder_->fingerprint(); }
  [[nodiscard]] bool is_elsewhere() const override { return finder_->is_elsewhere(); }
  [[nodiscard]] bool must_be_asked() const override { return finder_->must_be_asked(); }
  void heed(const std::atomic<bool>* cancelled) override { finder_->heed(cancelled); }

 private:
  /// Of an image that was found before in another file, the first file stays.
  /// Fails with RESOURCE_EXHAUSTED where all manifests together are too much to keep.
  absl::StatusOr<found_image> keep(const stored_aci& what) {
    const bool is_new = acis_.emplace(what.about->id.digest().text(), what).second;
    if (is_new) manifest_bytes_ += what.about->manifest_text.size();
    if (manifest_bytes_ <= most_manifest_bytes) return what.found();
    return error(absl::StatusCode::kResourceExhausted,
                 concat("keep image '", what.about->manifest.name.text(),
                        "': the manifests of all images take more than ", most_manifest_bytes, " bytes"));
  }

  /// Each may have megabytes, and there may be a thousand; those of real images have a few kilobytes.
  static constexpr std::size_t most_manifest_bytes = std::size_t{16} << 20;

  /// Equal for dependencies that ask for the same.
  static std::string name_of(const dependency& wanted) {
    std::string out = wanted.name.text();
    for (const auto& [name, value] : wanted.labels.all()) append(out, '\0', name.text(), '=', value);
    append(out, '\0', wanted.id ? wanted.id->text() : "", '\0', wanted.size ? concat(*wanted.size) : "");
    return out;
  }

  std::unique_ptr<image_finder> finder_;
  archive::limits limits_;
  std::map<std::string, stored_aci> acis_;      ///< by the text of their digests
  std::size_t manifest_bytes_ = 0;              ///< of them
  std::map<std::string, found_image> answers_;  ///< by what was asked
  std::optional<oci_documents> documents_;
};

}  // namespace mortise::image::appc
