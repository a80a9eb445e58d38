// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run and mortise-image: of the former the only file that sees RapidJSON, libarchive, libcrypto,
// libcurl and the decompressors.
#include "images.hpp"

#include "sources.hpp"

namespace tool {

using namespace mortise;

struct images::parts {
  image_store store;
};

absl::StatusOr<images> images::open(const std::string& directory, const source_options& options) {
  MORTISE_ASSIGN_OR_RETURN(auto store, open_image_store(directory, options));
  return images(std::make_shared<parts>(parts{std::move(store)}));
}

absl::Status images::configure(const source_options& options) {
  MORTISE_ASSIGN_OR_RETURN(parts_->store, open_image_store(parts_->store.path(), options));
  return absl::OkStatus();
}

absl::StatusOr<model::digest> images::fetch(std::string_view location, const image::provide_options& options) {
  MORTISE_ASSIGN_OR_RETURN(auto found, parts_->store.fetch(location, options));
  return std::move(found.digest);
}

absl::Status images::settle() { return parts_->store.settle(); }

absl::StatusOr<model::image> images::provide_in(model::overlay_layers /*format*/, std::string_view location,
                                                const image::provide_options& options, const hearer& hear) {
  return parts_->store.provide<model::overlay_layers>(location, options, hear);
}

absl::StatusOr<model::image> images::provide_in(model::aufs_layers /*format*/, std::string_view location,
                                                const image::provide_options& options, const hearer& hear) {
  return parts_->store.provide<model::aufs_layers>(location, options, hear);
}

absl::StatusOr<model::image> images::provide_in(model::erofs_layers /*format*/, std::string_view location,
                                                const image::provide_options& options, const hearer& hear) {
  return parts_->store.provide<model::erofs_layers>(location, options, hear);
}

absl::StatusOr<model::image> images::provide_in(model::unprivileged_overlay_layers /*format*/,
                                                std::string_view location, const image::provide_options& options,
                                                const hearer& hear) {
  return parts_->store.provide<model::unprivileged_overlay_layers>(location, options, hear);
}

}  // namespace tool
