// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: the only file that sees RapidJSON, libarchive, libcrypto and the decompressors.
#include "store.hpp"

#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>

namespace mortise_run {

using namespace mortise;

struct images::parts {
  image::store<image::oci_layout, image::docker_archive> store;
};

absl::StatusOr<images> images::open(const std::string& directory) {
  MORTISE_ASSIGN_OR_RETURN(auto store, decltype(parts::store)::open(directory));
  return images(std::make_shared<parts>(parts{std::move(store)}));
}

absl::StatusOr<model::image> images::provide_in(model::overlay_layers /*format*/, std::string_view location,
                                                const image::provide_options& options, const hearer& hear) {
  return parts_->store.provide<model::overlay_layers>(location, options, hear);
}

absl::StatusOr<model::image> images::provide_in(model::unprivileged_overlay_layers /*format*/,
                                                std::string_view location, const image::provide_options& options,
                                                const hearer& hear) {
  return parts_->store.provide<model::unprivileged_overlay_layers>(location, options, hear);
}

}  // namespace mortise_run
