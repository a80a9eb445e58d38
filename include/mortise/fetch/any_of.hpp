// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Several fetchers as one: the set is fixed when compiling, the URI's scheme chooses when running.

#include <array>
#include <cstddef>
#include <mortise/fetch/fetcher.hpp>
#include <tuple>
#include <utility>

namespace mortise::fetch {

namespace detail {

/// The schemes of all fetchers, in the order in which they are named.
template <class... Fetchers>
constexpr auto all_schemes() {
  std::array<std::string_view, (Fetchers::schemes.size() + ... + 0)> out{};
  std::size_t at = 0;
  [[maybe_unused]] const auto add = [&](const auto& schemes) {
    for (const std::string_view each : schemes) out[at++] = each;
  };
  (add(Fetchers::schemes), ...);
  return out;
}

template <class Schemes>
constexpr bool are_distinct(const Schemes& schemes) {
  for (std::size_t left = 0; left < schemes.size(); ++left)
    for (std::size_t right = left + 1; right < schemes.size(); ++right)
      if (schemes[left] == schemes[right]) return false;
  return true;
}

}  // namespace detail

/// A fetcher that hands each URI to the one of `Fetchers` that takes its scheme.
/// Fails with UNIMPLEMENTED, naming the schemes there are, where none does.
template <fetcher... Fetchers>
class any_of {
 public:
  static constexpr auto schemes = detail::all_schemes<Fetchers...>();
  static_assert(sizeof...(Fetchers) > 0, "fetch::any_of needs at least one fetcher");
  static_assert(detail::are_distinct(schemes), "two fetchers of one fetch::any_of take the same URI scheme");

  any_of() = default;
  explicit any_of(std::in_place_t /*unused*/, Fetchers... fetchers) : fetchers_(std::move(fetchers)...) {}

  absl::StatusOr<response> fetch(const uri& from, const request& what, sink& into) const {
    absl::StatusOr<response> out =
        error(absl::StatusCode::kUnimplemented, concat("fetch URI: no fetcher takes '", printable(from.scheme),
                                                       ":' (this program has: ", join(schemes, ", "), ')'));
    const auto attempt = [&](const auto& each) {
      bool takes = false;
      for (const std::string_view scheme : each.schemes) takes = takes || scheme == from.scheme;
      if (takes) out = each.fetch(from, what, into);
      return takes;
    };
    std::apply([&](const auto&... each) { (void)(attempt(each) || ...); }, fetchers_);
    return out;
  }

 private:
  std::tuple<Fetchers...> fetchers_;
};

}  // namespace mortise::fetch
