// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Sizes in bytes, and their literals: `using namespace mortise::literals; 64_MiB`.

#include <compare>
#include <cstdint>
#include <limits>
#include <mortise/base/text.hpp>
#include <optional>
#include <string_view>

namespace mortise {

/// A number of bytes.
struct bytes {
  std::uint64_t count = 0;
  constexpr auto operator<=>(const bytes&) const = default;
};

inline namespace literals {
constexpr bytes operator""_B(unsigned long long count) { return {count}; }
constexpr bytes operator""_KiB(unsigned long long count) { return {count << 10}; }
constexpr bytes operator""_MiB(unsigned long long count) { return {count << 20}; }
constexpr bytes operator""_GiB(unsigned long long count) { return {count << 30}; }
}  // namespace literals

/// "512", "64k", "64m", "2g", "64MiB": a whole number with an optional binary unit of either case, as
/// container tools take it. Nothing for anything else or a value over 2^63 - 1.
inline std::optional<bytes> parse_bytes(std::string_view text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  const auto number = parse_number<std::uint64_t>(text.substr(0, digits));
  if (!number) return std::nullopt;
  std::string_view unit = digits == std::string_view::npos ? std::string_view{} : text.substr(digits);
  unsigned shift = 0;
  if (!unit.empty()) {
    const std::string_view letters = "bkmgt";
    const std::size_t which = letters.find(static_cast<char>(unit.front() | 0x20));
    if (which == std::string_view::npos) return std::nullopt;
    shift = static_cast<unsigned>(which) * 10;
    unit.remove_prefix(1);
    if (!unit.empty() && unit != "B" && unit != "b" && unit != "iB" && unit != "ib") return std::nullopt;
    if (which == 0 && !unit.empty()) return std::nullopt;
  }
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (*number > (most >> shift)) return std::nullopt;
  return bytes{*number << shift};
}

/// "63.1 MB": for people, in powers of ten as registries and disks count.
inline std::string to_text(bytes size) {
  static constexpr std::string_view names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  std::uint64_t whole = size.count;
  std::uint64_t tenth = 0;
  std::size_t unit = 0;
  while (whole >= 1000) {
    tenth = whole % 1000 / 100;
    whole /= 1000;
    ++unit;
  }
  if (unit == 0) return concat(whole, " B");
  return concat(whole, '.', tenth, ' ', names[unit]);
}

}  // namespace mortise
