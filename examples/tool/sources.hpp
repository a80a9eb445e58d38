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
  return std::tuple(oci_layout(),          //
                    docker_archive(),      //
                    image_directory(),     //
                    appc_source(options),  //
                    basic_registry<mortise::fetch::http<loaded_curl>>({.cancelled = options.cancelled}));
}

/// A store of images from all of them.
template <class... Sources>
class image_store_of : public mortise::image::store<Sources...> {
  using store = mortise::image::store<Sources...>;

 public:
  static absl::StatusOr<image_store_of> open(const std::string& directory, std::tuple<Sources...> sources) {
    auto opened = std::apply([&](const Sources&... each) { return store::open(directory, each...); }, sources);
    if (!opened.ok()) return opened.status();
    return image_store_of(*std::move(opened), std::move(sources));
  }

  /// A location as the store remembers it: as it is where no source takes it.
  [[nodiscard]] std::string canonical(std::string_view location) const {
    std::string out(location);
    const auto ask = [&](const auto& each) { return each.accepts(location) && (out = each.canonical(location), true); };
    std::apply([&](const Sources&... each) { (void)(ask(each) || ...); }, sources_);
    return out;
  }

 private:
  image_store_of(store opened, std::tuple<Sources...> sources)
      : store(std::move(opened)), sources_(std::move(sources)) {}

  std::tuple<Sources...> sources_;
};
template <class... Sources>
image_store_of<Sources...> image_store_for(const std::tuple<Sources...>&);

using image_store = decltype(image_store_for(all_sources({})));

inline absl::StatusOr<image_store> open_image_store(const std::string& directory, const source_options& options) {
  return image_store::open(directory, all_sources(options));
}

}  // namespace tool
