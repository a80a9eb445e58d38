// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An inode's extended attributes as bytes of an EROFS image, behind the inode.

#include <cstddef>
#include <cstdint>
#include <map>
#include <mortise/archive/attributes.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/base/status.hpp>
#include <mortise/erofs/format.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::erofs {

namespace detail {

/// Header, then one after the other: length of the name, its number, length of the value, name, value, padding.
inline absl::Status append_xattr(std::string& to, const archive::xattr& what) {
  const auto parts = split_xattr(what.name);
  if (!parts) return absl::OkStatus();  // the kernel knows no other names for files
  const auto refuse = [&](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("its attribute '", printable(what.name), "' ", why));
  };
  if (parts->second.size() > 255) return refuse("has a name of more than 255 bytes");
  if (what.value.size() > 65535) return refuse("has a value of more than 65535 bytes");
  char head[4];
  put(std::span<char>(head), 0, static_cast<std::uint8_t>(parts->second.size()));
  put(std::span<char>(head), 1, parts->first);
  put(std::span<char>(head), 2, static_cast<std::uint16_t>(what.value.size()));
  to.append(head, sizeof head).append(parts->second).append(what.value);
  to.resize((to.size() + 3) / 4 * 4);
  return absl::OkStatus();
}

}  // namespace detail

/// Those that an image may have; empty where there are none. Of two of one name the later counts. What the kernel
/// would not let a file of this type have is left out.
/// Fails with INVALID_ARGUMENT for what has no form, RESOURCE_EXHAUSTED for more than an inode can have.
inline absl::StatusOr<std::string> encode_xattrs(const std::vector<archive::xattr>& all, bool is_plain) {
  std::string out;
  std::map<std::string_view, const archive::xattr*> last;  // not hashed: a layer could choose names that hash alike
  for (const archive::xattr& each : all) last[each.name] = &each;
  for (const archive::xattr& each : all) {
    if (last[each.name] != &each || !archive::image_may_set(each.name)) continue;
    if (!is_plain && each.name.starts_with("user.")) continue;
    if (out.empty()) out.resize(xattr_header_size);
    MORTISE_RETURN_IF_ERROR(detail::append_xattr(out, each));
  }
  if (out.size() == xattr_header_size) return std::string();
  constexpr std::size_t most = xattr_header_size + std::size_t{65534} * 4;
  if (out.size() > most)
    return error(absl::StatusCode::kResourceExhausted,
                 concat("its extended attributes have more than the ", most, " bytes that EROFS has for them"));
  return out;
}

}  // namespace mortise::erofs
