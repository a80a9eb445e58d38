// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's store of images. Four compositions use it; its libraries are compiled once, in store.cpp.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mortise/image/appc/enforcement.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/image_config.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise_run {

/// Where Appc images come from, beside files.
struct appc_places {
  std::vector<std::string> prefixes;  ///< empty: https and the hosts in their names
  std::string keys;                   ///< a directory; empty asks for no signature
  bool http = false;                  ///< plain HTTP is good enough
  std::optional<mortise::model::platform> platform;
  const std::atomic<bool>* cancelled = nullptr;
};

/// What an image's isolators ask of mortise-run, which grants no more than `capabilities`.
absl::StatusOr<mortise::image::appc::enforcement> enforce(const mortise::model::image_config& image,
                                                          std::uint64_t capabilities);

/// image::store of layouts, archives and Appc images behind a wall: what a container asks of a store is one function.
class images {
 public:
  using hearer = std::function<void(const mortise::image::progress&)>;

  static absl::StatusOr<images> open(const std::string& directory);
  /// Before the first image is provided.
  absl::Status look_in(const appc_places& where);

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
