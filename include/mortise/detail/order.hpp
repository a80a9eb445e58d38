// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The order of isolators, computed by the compiler from the facts they need, want and give.

#include <array>
#include <cstddef>
#include <mortise/base/types.hpp>
#include <mortise/isolate/isolator.hpp>

namespace mortise::detail {

template <class... Types>
struct type_list {
  static constexpr std::size_t size = sizeof...(Types);
};

/// Concatenation, with packs replaced by what is in them.
template <class Done, class... Rest>
struct flatten;
template <class... Done>
struct flatten<type_list<Done...>> {
  using type = type_list<Done...>;
};
template <class... Done, class... Packed, class... Rest>
struct flatten<type_list<Done...>, isolate::pack<Packed...>, Rest...> {
  using type = typename flatten<type_list<Done...>, Packed..., Rest...>::type;
};
template <class... Done, class First, class... Rest>
struct flatten<type_list<Done...>, First, Rest...> {
  using type = typename flatten<type_list<Done..., First>, Rest...>::type;
};

template <class First, class Second>
inline constexpr bool share = false;
template <class... Firsts, class Second>
inline constexpr bool share<facts<Firsts...>, Second> = (contains<Firsts, Second> || ...);

/// Whether `Later` must be prepared after `Earlier`.
template <class Later, class Earlier>
inline constexpr bool follows =
    share<typename Later::needs, typename Earlier::gives> || share<isolate::wants_of<Later>, typename Earlier::gives>;

template <std::size_t Size>
struct ordering {
  std::array<std::size_t, Size> order{};  ///< positions in the container's list, in the order of prepares
  bool cyclic = false;
};

/// One row of the "must follow" matrix.
template <class Later, class... All>
consteval std::array<bool, sizeof...(All)> follows_row() {
  return {follows<Later, All>...};
}

/// Kahn's algorithm, always taking the first that is ready: the order as written wherever facts allow it.
template <class... Isolators>
consteval ordering<sizeof...(Isolators)> order_of(type_list<Isolators...>) {
  constexpr std::size_t size = sizeof...(Isolators);
  ordering<size> result;
  if constexpr (size > 0) {
    const std::array<std::array<bool, size>, size> after{follows_row<Isolators, Isolators...>()...};
    std::array<bool, size> done{};
    for (std::size_t filled = 0; filled < size; ++filled) {
      std::size_t chosen = size;
      for (std::size_t candidate = 0; candidate < size && chosen == size; ++candidate) {
        bool ready = !done[candidate];
        for (std::size_t other = 0; other < size; ++other) ready = ready && (done[other] || !after[candidate][other]);
        if (ready) chosen = candidate;
      }
      if (chosen == size) {
        result.cyclic = true;
        return result;
      }
      done[chosen] = true;
      result.order[filled] = chosen;
    }
  }
  return result;
}

}  // namespace mortise::detail
