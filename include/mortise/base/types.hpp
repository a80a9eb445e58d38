// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Lists of types: the facts that isolators need and give, and the hooks they have.

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace mortise {

/// The facts an isolator needs or gives: `using needs = facts<fact::cgroup>`. Order has no meaning.
template <class... Facts>
struct facts {
  static constexpr std::size_t size = sizeof...(Facts);
};

/// Whether `Type` is one of a list's elements.
template <class Type, class List>
inline constexpr bool contains = false;
template <class Type, template <class...> class List, class... Elements>
inline constexpr bool contains<Type, List<Elements...>> = (std::is_same_v<Type, Elements> || ...);

/// The unqualified name of a type as the compiler spells it, for diagnostics and records.
template <class Type>
consteval std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t from = text.find("Type = ") + 7;
  text = text.substr(from, text.find_first_of(";]", from) - from);
  const std::size_t bracket = text.find('<');
  const std::size_t scope = text.substr(0, bracket).rfind("::");
  return scope == std::string_view::npos ? text : text.substr(scope + 2);
}

}  // namespace mortise
