// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Names by which a layer says that something below it is gone: OCI image-spec layer.md, "Whiteouts".

#include <cstdint>
#include <mortise/base/status.hpp>
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

/// Takes the first component off a path.
constexpr std::string_view take_component(std::string_view& path) {
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size() == path.size() ? part.size() : part.size() + 1);
  return part;
}

/// Whiteouts have no children: of an entry's parents, whether it means anything. False below AUFS' metadata, an error
/// below any other mark.
inline absl::StatusOr<bool> has_meaning_below(std::string_view parents) {
  while (!parents.empty()) {
    const whiteout mark = classify_whiteout(take_component(parents));
    if (mark.kind == whiteout_kind::metadata) return false;
    if (mark.kind != whiteout_kind::none)
      return error(absl::StatusCode::kInvalidArgument, "it is below a whiteout, which is no directory");
  }
  return true;
}

}  // namespace mortise::archive
