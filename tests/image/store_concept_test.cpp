// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/store_concept.hpp>

#include <doctest/doctest.h>

#include <mortise/model/layer.hpp>
#include <string_view>

namespace {

/// The smallest store: it has no image at all.
struct empty_store {
  template <class Format, class Hear>
  absl::StatusOr<mortise::model::image> provide(std::string_view, const mortise::image::provide_options&, Hear&&) {
    return absl::NotFoundError("it is empty");
  }
};
struct no_store {};

static_assert(mortise::image::provides<empty_store, mortise::model::overlay_layers>);
static_assert(!mortise::image::provides<no_store, mortise::model::overlay_layers>);

}  // namespace

TEST_CASE("store_concept: the listener that hears nothing is one") {
  mortise::image::no_progress{}(mortise::image::progress{});
  empty_store store;
  CHECK(
      absl::IsNotFound(store.provide<mortise::model::overlay_layers>("x", {}, mortise::image::no_progress{}).status()));
}
