// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/store_concept.hpp>

#include <doctest/doctest.h>

#include <mortise/container.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <pages/page.hpp>

// archetype
/// The least that a container takes for a store: it has one image, of one layer, unpacked by somebody else.
struct store_archetype {
  std::string tree;

  /// By convention where a host keeps its images: DIRECTORY/store. Made by host::open.
  static absl::StatusOr<store_archetype> open(const std::string& directory) {
    return store_archetype{directory + "/tree"};
  }

  template <class Format, class Progress>
  absl::StatusOr<mortise::model::image> provide(std::string_view location,
                                                const mortise::image::provide_options& /*options*/,
                                                Progress&& hear) const {
    hear(mortise::image::progress{0, 1, mortise::image::progress::stage::ready, 0, 0, true});
    mortise::model::image image;
    image.location = location;
    image.config.cmd = {"/bin/sh"};
    image.layers = {mortise::model::layer{{}, tree}};
    return image;
  }
};

static_assert(mortise::image::provides<store_archetype, mortise::model::overlay_layers>);
// end of archetype

TEST_CASE("concepts: the page of store prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/store"));
}

TEST_CASE("concepts: a container takes the store archetype") {
  using box = mortise::container<store_archetype, mortise::rootfs::overlay, mortise::isolate::standard>;
  auto store = store_archetype::open("/a/store");
  REQUIRE(store.ok());
  const auto image = store->provide<mortise::model::overlay_layers>("anything", {}, mortise::image::no_progress{});
  REQUIRE(image.ok());
  CHECK(image->layers.front().directory == "/a/store/tree");
  CHECK(sizeof(box::launch_options) > 0);
}
