// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Base64 of RFC 4648, strictly: one text for one sequence of bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mortise/base/text.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::image::distribution {

/// The alphabet with '+' and '/', padded, or the one for URLs with '-' and '_', without padding.
enum class base64_form : unsigned char { standard, url };

namespace detail {
constexpr std::string_view alphabet(base64_form form) {
  return form == base64_form::standard ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                                       : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}
}  // namespace detail

inline std::string encode_base64(std::string_view bytes, base64_form form = base64_form::standard) {
  const std::string_view letters = detail::alphabet(form);
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t each = 0; each < 3; ++each)
      bits = bits << 8 | (each < group.size() ? static_cast<unsigned char>(group[each]) : 0U);
    for (std::size_t each = 0; each <= group.size(); ++each) out.push_back(letters[bits >> (18 - 6 * each) & 63]);
    if (form == base64_form::standard) out.append(3 - group.size(), '=');
  }
  return out;
}

/// Nothing for other characters, line ends, wrong or missing padding, or bits that no byte takes.
inline std::optional<std::string> decode_base64(std::string_view text, base64_form form = base64_form::standard) {
  if (form == base64_form::standard) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int most = 2; most > 0 && text.ends_with('='); --most) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::array<std::uint8_t, 256> values;
  values.fill(255);
  const std::string_view letters = detail::alphabet(form);
  for (std::size_t each = 0; each < letters.size(); ++each)
    values[static_cast<unsigned char>(letters[each])] = static_cast<std::uint8_t>(each);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char each : text) {
    const std::uint8_t value = values[static_cast<unsigned char>(each)];
    if (value == 255) return std::nullopt;
    bits = bits << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 255));
    bits &= (1U << held) - 1;
  }
  if (bits != 0) return std::nullopt;
  return out;
}

}  // namespace mortise::image::distribution
