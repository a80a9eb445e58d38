// SPDX-License-Identifier: Apache-2.0
// The rest of what archive::way does is seen through apply(): implied parents in apply_test.cpp, whiteouts' parents
// in apply_whiteout_test.cpp, links of lower layers in apply_hostile_test.cpp.
#include <mortise/archive/way.hpp>

#include <doctest/doctest.h>

#include <archive/tree.hpp>
#include <string>
#include <support/temporary.hpp>
#include <vector>

namespace {

constexpr auto form = mortise::archive::marks::of<mortise::model::unprivileged_overlay_layers>();

struct journey {
  support::temporary_directory place;
  mortise::sys::unique_fd root = *mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  mortise::archive::apply_request request{.staging = root.get()};
  mortise::archive::cursor where{root.get(), form};
  mortise::archive::attribute_writer attributes{false};
  mortise::archive::writer output{root.get(), form, where, attributes};
  mortise::archive::meter used{request};
  mortise::archive::way way{request, form, where, output, used};
};

}  // namespace

TEST_CASE("archive::way makes what is missing, and goes back and forth") {
  journey here;
  CHECK_FALSE(here.way.depends_on_lower());
  REQUIRE(here.way.enter("a/b/c").ok());
  CHECK(here.where.path() == "a/b/c");
  CHECK(here.way.path_of("x") == "a/b/c/x");
  CHECK(here.way.depends_on_lower());
  REQUIRE(here.way.enter("a/d").ok());
  REQUIRE(here.way.enter("").ok());
  CHECK(here.way.path_of("x") == "x");
  CHECK(support::tree(here.place.path()).paths() == std::vector<std::string>{"a", "a/b", "a/b/c", "a/d"});
}

TEST_CASE("archive::way knows which directories only hold whiteouts") {
  journey here;
  CHECK(*here.way.enter_to_hide("a/b"));
  REQUIRE(here.way.enter("").ok());
  CHECK(here.way.take_hollow("a"));
  CHECK_FALSE(here.way.take_hollow("a"));
  CHECK(*here.way.enter_to_hide("c/d"));
  REQUIRE(here.way.enter("c/d").ok());  // now something is put into it
  REQUIRE(here.way.enter("c").ok());
  CHECK_FALSE(here.way.take_hollow("d"));
  REQUIRE(here.where.hide_lower().ok());
  CHECK_FALSE(*here.way.enter_to_hide("c/d"));
  CHECK_FALSE(*here.way.enter_to_hide("c/e/f"));
  CHECK(support::tree(here.place.path())["c/e"] == "");  // nothing was made to hide nothing in
}

TEST_CASE("archive::way asks for the lower layers once, and passes their failure on") {
  journey here;
  int asked = 0;
  here.request.lower = [&]() -> absl::StatusOr<std::span<const int>> {
    ++asked;
    return std::span<const int>{};
  };
  REQUIRE(here.way.enter("a/b").ok());
  REQUIRE(here.way.enter("c").ok());
  CHECK(asked == 1);
  journey other;
  other.request.lower = []() -> absl::StatusOr<std::span<const int>> {
    return mortise::error(absl::StatusCode::kCancelled, "unpack the layer below: cancelled");
  };
  CHECK(mortise::message(other.way.enter("a")) == "make its parent 'a': unpack the layer below: cancelled");
}
