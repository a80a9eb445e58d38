// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// passwd(5) and group(5) as text from an image: searched without allocation and without the C library's
/// name service, whose plugins would be loaded from the host or, worse, from the image.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/text.hpp>
#include <optional>
#include <span>
#include <string_view>

namespace mortise::sys {

/// The largest usable user or group id: 2^32 - 1 means "no change" to the kernel.
inline constexpr std::uint32_t most_id = 0xfffffffeU;

/// A decimal id in range; nothing for anything else.
inline std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto id = parse_number<std::uint32_t>(text);
  return id && *id <= most_id ? id : std::nullopt;
}

struct passwd_entry {
  std::string_view name;
  std::uint32_t uid;
  std::uint32_t gid;
  std::string_view home;
};

namespace detail {

/// The field before the next separator, cut off the front of `rest`.
inline std::string_view next_field(std::string_view& rest, char separator) {
  const std::size_t at = std::min(rest.find(separator), rest.size());
  const std::string_view field = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return field;
}

/// One passwd(5) line; nothing if it is malformed.
inline std::optional<passwd_entry> parse_passwd_line(std::string_view line) {
  const std::string_view name = next_field(line, ':');
  next_field(line, ':');
  const auto uid = parse_id(next_field(line, ':'));
  const auto gid = parse_id(next_field(line, ':'));
  next_field(line, ':');
  const std::string_view home = next_field(line, ':');
  if (name.empty() || !uid || !gid) return std::nullopt;
  return passwd_entry{name, *uid, *gid, home};
}

}  // namespace detail

/// The first well-formed line for which `matches(entry)` holds.
template <class Matches>
std::optional<passwd_entry> find_passwd(std::string_view text, Matches matches) {
  while (!text.empty()) {
    const auto entry = detail::parse_passwd_line(detail::next_field(text, '\n'));
    if (entry && matches(*entry)) return entry;
  }
  return std::nullopt;
}

/// The id of a group by name.
inline std::optional<std::uint32_t> find_group(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = detail::next_field(text, '\n');
    if (detail::next_field(line, ':') != name) continue;
    detail::next_field(line, ':');
    if (const auto gid = parse_id(detail::next_field(line, ':'))) return gid;
  }
  return std::nullopt;
}

/// The groups that list `user` as a member, each once, into `out` from `count` on; the new count. What does
/// not fit is left out, as initgroups(3) does at NGROUPS_MAX.
inline std::size_t find_memberships(std::string_view text, std::string_view user, std::span<std::uint32_t> out,
                                    std::size_t count) {
  while (!text.empty() && count < out.size()) {
    std::string_view line = detail::next_field(text, '\n');
    detail::next_field(line, ':');
    detail::next_field(line, ':');
    const auto gid = parse_id(detail::next_field(line, ':'));
    bool member = false;
    while (!line.empty() && !member) member = detail::next_field(line, ',') == user;
    const auto known = out.first(count);
    if (gid && member && std::find(known.begin(), known.end(), *gid) == known.end()) out[count++] = *gid;
  }
  return count;
}

}  // namespace mortise::sys
