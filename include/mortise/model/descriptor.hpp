// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A pointer to content: OCI image-spec descriptor.md.

#include <compare>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::model {

/// "type/subtype" of RFC 6838, each at most 127 characters, without parameters.
class media_type {
 public:
  static absl::StatusOr<media_type> parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const bool good =
        slash != std::string_view::npos && is_name(text.substr(0, slash)) && is_name(text.substr(slash + 1));
    if (good) return media_type(std::string(text));
    return error(absl::StatusCode::kInvalidArgument,
                 concat("parse media type '", printable(text, 260), "': it is not type/subtype of RFC 6838"));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const media_type&) const = default;
  bool operator==(std::string_view text) const { return text_ == text; }

 private:
  explicit media_type(std::string text) : text_(std::move(text)) {}

  static bool is_name(std::string_view text) {
    const auto letter = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (text.empty() || text.size() > 127 || !letter(text.front())) return false;
    for (const char each : text)
      if (!letter(each) && std::string_view("!#$&-^_.+").find(each) == std::string_view::npos) return false;
    return true;
  }

  std::string text_;
};

/// Names and values in the order they were written: annotations, labels.
using annotations = std::vector<std::pair<std::string, std::string>>;

/// The value of a name, or nothing.
inline std::optional<std::string_view> find(const annotations& in, std::string_view name) {
  for (const auto& [key, value] : in)
    if (key == name) return value;
  return std::nullopt;
}

/// What some content is, how long it is and what its digest is.
struct descriptor {
  media_type type;
  model::digest digest;
  std::uint64_t size = 0;
  std::optional<model::platform> platform;  ///< only of manifests in an index; normalised
  std::string artifact_type;                ///< of a manifest that is no image
  std::vector<std::string> urls;            ///< where else a foreign layer may be found; hints, never trusted
  model::annotations annotations;
  std::optional<std::string> data;  ///< the content itself, verified, where it was embedded
};

}  // namespace mortise::model
