// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which part of a resource an answer holds, as its Content-Range says.

#include <cstdint>
#include <mortise/base/text.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::fetch {

/// "bytes FIRST-LAST/TOTAL", "bytes FIRST-LAST/*" or "bytes */TOTAL".
struct content_range {
  std::uint64_t first = 0;
  std::uint64_t end = 0;  ///< one behind the last byte; `first` where there are none
  std::optional<std::uint64_t> total;

  /// Nothing for another unit, another form, or numbers that contradict each other.
  static std::optional<content_range> parse(std::string_view field) {
    constexpr std::string_view unit = "bytes ";
    const std::size_t slash = field.find('/');
    if (!field.starts_with(unit) || slash == std::string_view::npos) return std::nullopt;
    content_range out;
    out.total = parse_number<std::uint64_t>(field.substr(slash + 1));
    if (!out.total && field.substr(slash + 1) != "*") return std::nullopt;
    const std::string_view part = field.substr(unit.size(), slash - unit.size());
    if (part == "*") return out.total ? std::optional(out) : std::nullopt;
    const std::size_t dash = part.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first = parse_number<std::uint64_t>(part.substr(0, dash));
    const auto last = parse_number<std::uint64_t>(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= out.total.value_or(UINT64_MAX)) return std::nullopt;
    out.first = *first;
    out.end = *last + 1;
    return out;
  }
};

/// The Range field for the bytes from `first` to `end`, or to the last one.
inline std::string range_field(std::uint64_t first, std::optional<std::uint64_t> end) {
  std::string out = concat("bytes=", first, '-');
  if (end) append(out, *end - 1);
  return out;
}

}  // namespace mortise::fetch
