// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/source.hpp>

#include <doctest/doctest.h>

#include <mortise/image/store.hpp>
#include <pages/page.hpp>

// archetype
/// The least that a store takes for a source: an origin that has nothing, under locations "nothing:".
struct source_archetype {
  static constexpr std::string_view form = "nothing:";

  [[nodiscard]] bool accepts(std::string_view location) const { return location.starts_with(form); }
  [[nodiscard]] std::string canonical(std::string_view location) const { return std::string(location); }

  [[nodiscard]] absl::StatusOr<std::unique_ptr<mortise::image::origin>> open(std::string_view /*location*/,
                                                                             const std::string& /*scratch*/) const {
    return std::make_unique<origin>();
  }

  struct origin final : mortise::image::origin {
    absl::StatusOr<std::vector<mortise::model::descriptor>> roots() override {
      return mortise::error(absl::StatusCode::kNotFound, "choose an image of 'nothing:': it holds none");
    }
    absl::StatusOr<std::unique_ptr<mortise::reader>> open_blob(const mortise::model::descriptor& blob) override {
      return mortise::error(absl::StatusCode::kNotFound, mortise::concat("open blob ", blob.digest.text()));
    }
  };
};

static_assert(mortise::image::source<source_archetype>);
// end of archetype

TEST_CASE("concepts: the page of source prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/source"));
}

TEST_CASE("concepts: a store takes the source archetype") {
  using store = mortise::image::store<source_archetype>;
  CHECK(mortise::image::provides<store, mortise::model::overlay_layers>);
  CHECK(source_archetype().accepts("nothing:at all"));
  const auto opened = source_archetype().open("nothing:", "/tmp");
  REQUIRE(opened.ok());
  CHECK(absl::IsNotFound((*opened)->roots().status()));
}
