// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/source.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// The smallest source: it knows one location, where nothing is.
class empty_source {
 public:
  static constexpr std::string_view form = "empty:";
  [[nodiscard]] bool accepts(std::string_view location) const { return location == "empty:"; }
  [[nodiscard]] std::string canonical(std::string_view location) const { return std::string(location); }
  [[nodiscard]] absl::StatusOr<std::unique_ptr<mortise::image::origin>> open(std::string_view,
                                                                             const std::string&) const {
    return std::make_unique<nothing>();
  }

 private:
  class nothing : public mortise::image::origin {
   public:
    absl::StatusOr<std::vector<mortise::model::descriptor>> roots() override {
      return std::vector<mortise::model::descriptor>{};
    }
    absl::StatusOr<std::unique_ptr<mortise::reader>> open_blob(const mortise::model::descriptor&) override {
      return absl::NotFoundError("nothing is here");
    }
  };
};

/// Lacks `open`.
struct no_source {
  static constexpr std::string_view form = "none:";
  [[nodiscard]] bool accepts(std::string_view) const { return false; }
};

static_assert(mortise::image::source<empty_source>);
static_assert(!mortise::image::source<no_source>);

}  // namespace

TEST_CASE("source: an origin that cannot tell has no fingerprint") {
  const auto opened = empty_source{}.open("empty:", "");
  REQUIRE(opened.ok());
  CHECK((*opened)->fingerprint().empty());
  CHECK((*opened)->roots()->empty());
}
