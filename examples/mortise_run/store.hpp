// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's store of images. Four compositions use it; its libraries are compiled once, in store.cpp.

#include <functional>
#include <memory>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/layer.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise_run {

/// image::store of layouts and archives behind a wall: what a container asks of a store is one function.
class images {
 public:
  using hearer = std::function<void(const mortise::image::progress&)>;

  static absl::StatusOr<images> open(const std::string& directory);

  template <class Format, class Progress>
  absl::StatusOr<mortise::model::image> provide(std::string_view location,
                                                const mortise::image::provide_options& options, Progress&& hear) {
    return provide_in(Format{}, location, options, hear);
  }

 private:
  struct parts;
  explicit images(std::shared_ptr<parts> from) : parts_(std::move(from)) {}

  absl::StatusOr<mortise::model::image> provide_in(mortise::model::overlay_layers format, std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);
  absl::StatusOr<mortise::model::image> provide_in(mortise::model::unprivileged_overlay_layers format,
                                                   std::string_view location,
                                                   const mortise::image::provide_options& options, const hearer& hear);

  std::shared_ptr<parts> parts_;
};

}  // namespace mortise_run
