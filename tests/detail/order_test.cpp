// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/order.hpp>

#include <doctest/doctest.h>

#include <string_view>
#include <utility>

namespace {

using mortise::facts;
using mortise::detail::order_of;
using mortise::detail::type_list;

template <int Number>
struct fact {};

/// Needs the fact of the number before, gives its own.
template <int Number>
struct chained {
  static constexpr std::string_view name = "link";
  static constexpr unsigned version = 1;
  using needs = facts<fact<Number - 1>>;
  using gives = facts<fact<Number>>;
  using hooks = mortise::isolate::hook::list<>;
};
struct first : chained<0> {
  using needs = facts<>;
};
struct loner : first {
  using gives = facts<>;
};
struct wanting : loner {
  using wants = facts<fact<2>, fact<99>>;
};

template <int... Numbers>
constexpr auto backwards(std::integer_sequence<int, Numbers...>) {
  return type_list<chained<static_cast<int>(sizeof...(Numbers)) - Numbers>..., first>{};
}

}  // namespace

TEST_CASE("order: as written where facts allow it") {
  static_assert(order_of(type_list<>{}).order.empty());
  static_assert(order_of(type_list<loner, first, chained<1>>{}).order == std::array<std::size_t, 3>{0, 1, 2});
  static_assert(order_of(type_list<chained<1>, loner, first>{}).order == std::array<std::size_t, 3>{1, 2, 0});
  static_assert(order_of(type_list<wanting, chained<2>, chained<1>, first>{}).order ==
                std::array<std::size_t, 4>{3, 2, 1, 0});
  CHECK(true);
}

TEST_CASE("order: a cycle is found, of one too") {
  struct selfish : chained<1> {
    using needs = facts<fact<1>>;
  };
  struct head : chained<5> {
    using needs = facts<fact<7>>;
  };
  static_assert(order_of(type_list<selfish>{}).cyclic);
  static_assert(order_of(type_list<head, chained<6>, chained<7>>{}).cyclic);
  static_assert(!order_of(type_list<first, chained<1>>{}).cyclic);
  CHECK(true);
}

TEST_CASE("order: forty links, backwards") {
  constexpr auto all = order_of(backwards(std::make_integer_sequence<int, 40>{}));
  static_assert(!all.cyclic);
  for (std::size_t each = 0; each < all.order.size(); ++each) CHECK(all.order[each] == 40 - each);
}
