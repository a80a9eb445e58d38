// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/types.hpp>

#include <doctest/doctest.h>

namespace sample {
template <class>
struct wrapper {};
struct inner {};
}  // namespace sample

TEST_CASE("types: lists know what is in them") {
  using list = mortise::facts<int, sample::inner>;
  static_assert(list::size == 2 && mortise::facts<>::size == 0);
  static_assert(mortise::contains<int, list> && !mortise::contains<char, list> &&
                !mortise::contains<int, mortise::facts<>>);
  CHECK(true);
}

TEST_CASE("types: names without their scopes") {
  CHECK(mortise::type_name<sample::inner>() == "inner");
  CHECK(mortise::type_name<int>() == "int");
  CHECK(mortise::type_name<sample::wrapper<sample::inner>>() == "wrapper<sample::inner>");
}
