// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where the tools take images from: one list, for all of them. Whoever includes this sees every library of images.

#include <mortise/fetch/http.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/image_directory.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/registry.hpp>
#include <mortise/image/store.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "appc_source.hpp"
#include "loaded_curl.hpp"
#include "source_options.hpp"

namespace tool {

/// In the order in which they are asked whether a location is theirs; a registry takes what may be a name, so it is
/// last.
inline auto all_sources(const source_options& options) {
  using namespace mortise::image;
  registry_options registries{.registries = options.registries, .warn = options.warn, .cancelled = options.cancelled};
  if (options.schema_1) registries.old = distribution::schema_1::accepted;
  return std::tuple(oci_layout(),          //
                    docker_archive(),      //
                    image_directory(),     //
                    appc_source(options),  //
                    basic_registry<mortise::fetch::http<loaded_curl>>(std::move(registries)));
}

template <class... Sources>
mortise::image::store<Sources...> image_store_for(const std::tuple<Sources...>&);

/// A store of images from all of them.
using image_store = decltype(image_store_for(all_sources({})));

inline absl::StatusOr<image_store> open_image_store(const std::string& directory, const source_options& options) {
  return std::apply([&](auto... each) { return image_store::open(directory, std::move(each)...); },
                    all_sources(options));
}

}  // namespace tool
