// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Names by which a layer says that something below it is gone: OCI image-spec layer.md, "Whiteouts".

#include <cstdint>
#include <string_view>

namespace mortise::archive {

/// What the last component of an entry's path means.
enum class whiteout_kind : std::uint8_t {
  none,      ///< an ordinary name
  name,      ///< ".wh.NAME": NAME of the lower layers is deleted
  opaque,    ///< ".wh..wh..opq": everything that lower layers have in this directory is hidden
  metadata,  ///< ".wh..wh.*": what AUFS kept for itself, without meaning for anybody else
  invalid,   ///< ".wh.", ".wh..", ".wh...": would delete the directory itself or its parent
};

struct whiteout {
  whiteout_kind kind = whiteout_kind::none;
  std::string_view target{};  ///< of whiteout_kind::name, a part of the classified name

  bool operator==(const whiteout&) const = default;
};

inline constexpr std::string_view whiteout_prefix = ".wh.";

constexpr whiteout classify_whiteout(std::string_view name) {
  if (!name.starts_with(whiteout_prefix)) return {};
  if (name == ".wh..wh..opq") return {whiteout_kind::opaque};
  if (name.starts_with(".wh..wh.")) return {whiteout_kind::metadata};
  const std::string_view target = name.substr(whiteout_prefix.size());
  if (target.empty() || target == "." || target == "..") return {whiteout_kind::invalid};
  return {whiteout_kind::name, target};
}

}  // namespace mortise::archive
