// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The tools' store of images behind a wall: its libraries are compiled once, in images.cpp.

#include <functional>
#include <memory>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/layer.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "source_options.hpp"

namespace tool {

/// image_store of sources.hpp, as far as containers and pulls use it: what a container asks of a store is one function.
class images {
 public:
  using hearer = std::function<void(const mortise::image::progress&)>;

  static absl::StatusOr<images> open(const std::string& directory, const source_options& options = {});

  /// The same store with other options: a host opens it without.
  absl::Status configure(const source_options& options);

  /// Keeps what is at a location as it is, image or not; returns its manifest's digest.
  absl::StatusOr<mortise::model::digest> fetch(std::string_view location,
                                               const mortise::image::provide_options& options);

  /// So that what was provided survives a power cut.
  absl::Status settle();

  template <class Format, class Progress>
  absl::StatusOr<mortise::model::image> provide(std::string_view location,
                                                const mortise::image::provide_options& options, Progress&& hear) {
    return provide_in(Format{}, location, options, [&hear](const mortise::image::progress& how) { hear(how); });
  }

 private:
  struct parts;
  explicit images(std::shared_ptr<parts> from) : parts_(std::move(from)) {}

  absl::StatusOr<mortise::model::image> provide_in(mortise::model::overlay_layers format, std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);
  absl::StatusOr<mortise::model::image> provide_in(mortise::model::aufs_layers format, std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);
  absl::StatusOr<mortise::model::image> provide_in(mortise::model::erofs_layers format, std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);
  absl::StatusOr<mortise::model::image> provide_in(mortise::model::unprivileged_overlay_layers format,
                                                   std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);

  std::shared_ptr<parts> parts_;
};

}  // namespace tool
