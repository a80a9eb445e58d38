// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Text helpers that the standard library and Abseil's string_view mismatch leave missing.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise {

/// Appends the pieces (strings, characters, integers) to `out`.
template <class... Pieces>
void append(std::string& out, const Pieces&... pieces) {
  [[maybe_unused]] const auto one = [&out](const auto& piece) {
    using piece_type = std::remove_cvref_t<decltype(piece)>;
    if constexpr (std::same_as<piece_type, char>) {
      out.push_back(piece);
    } else if constexpr (std::integral<piece_type>) {
      char digits[24];
      const auto [end, error] = std::to_chars(digits, digits + sizeof digits, piece);
      out.append(digits, end);
    } else {
      out.append(std::string_view(piece));
    }
  };
  (one(pieces), ...);
}

/// The pieces as one string.
template <class... Pieces>
std::string concat(const Pieces&... pieces) {
  std::string out;
  append(out, pieces...);
  return out;
}

/// A number written in full in `base`; nothing for an empty text, a sign, spaces, trailing
/// characters or a value out of range.
template <std::integral Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// The parts between separators; an empty text has no parts. Empty parts are kept.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
    if (text.empty()) parts.push_back(text);
  }
  return parts;
}

/// The parts joined by a separator.
template <class Range>
std::string join(const Range& parts, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& part : parts) {
    if (!first) out.append(separator);
    first = false;
    append(out, part);
  }
  return out;
}

/// Untrusted text made printable: control characters and non-ASCII bytes as \xNN, cut at `limit` bytes.
inline std::string printable(std::string_view text, std::size_t limit = 256) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (const char each : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
      out.push_back(each);
    } else {
      append(out, "\\x", hex[byte >> 4], hex[byte & 15]);
    }
  }
  if (text.size() > limit) out.append("...");
  return out;
}

/// A value within a URL or a form: all but RFC 3986's unreserved characters as %XX, so that it can add no path
/// component, query or host.
inline std::string percent_encoded(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char each : text) {
    const bool plain = (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') ||
                       std::string_view("-._~").find(each) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(each);
    if (plain) {
      out.push_back(each);
    } else {
      append(out, '%', hex[byte >> 4], hex[byte & 15]);
    }
  }
  return out;
}

}  // namespace mortise
