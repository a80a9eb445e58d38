// SPDX-License-Identifier: Apache-2.0
// What the sentences say is proven by tests/compile; here is what they must not say of a right composition.
#include <mortise/detail/diagnose.hpp>

#include <doctest/doctest.h>

#include <utility>

namespace {

namespace hook = mortise::isolate::hook;
using mortise::facts;
using mortise::detail::check;
using mortise::detail::type_list;

template <int Number>
struct fact {};

/// One of many, each needing what the one before gives.
template <int Number>
struct chained {
  static constexpr char letters[] = {'l', static_cast<char>('a' + Number), 0};
  static constexpr std::string_view name = letters;
  static constexpr unsigned version = 1;
  using needs = std::conditional_t<Number == 0, facts<>, facts<fact<Number - 1>>>;
  using gives = facts<fact<Number>>;
  using hooks = hook::list<hook::prepare>;
  static absl::Status prepare(mortise::isolate::preparation<chained>&) { return absl::OkStatus(); }
};

template <int... Numbers>
constexpr std::size_t checked(std::integer_sequence<int, Numbers...>) {
  return check<type_list<chained<Numbers>...>, std::make_index_sequence<sizeof...(Numbers)>>::checked;
}

}  // namespace

TEST_CASE("diagnose: twenty-four isolators that fit") {
  static_assert(checked(std::make_integer_sequence<int, 24>{}) > 0);
  static_assert(mortise::detail::has_prepare<chained<1>> && !mortise::detail::has_release<chained<1>> &&
                !mortise::detail::has_recover<chained<1>>);
  CHECK(true);
}
