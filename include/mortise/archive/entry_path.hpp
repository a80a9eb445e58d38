// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An entry's name as a way down from the archive's root: checked, and in one spelling.

#include <cstddef>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// Components joined by single slashes, none of them "." or ".."; empty is the root itself.
class entry_path {
 public:
  /// Leading slashes, "." components and trailing slashes have no meaning in a layer.
  /// Fails with: INVALID_ARGUMENT for ".." anywhere (an honest archiver writes none), RESOURCE_EXHAUSTED for what
  /// is longer or deeper than the limits.
  static absl::StatusOr<entry_path> parse(std::string_view name, const limits& caps) {
    const auto too = [](std::string_view what, std::size_t most) {
      return error(absl::StatusCode::kResourceExhausted, concat("its name ", what, " than the ", most, " allowed"));
    };
    if (name.size() > caps.path) return too("has more bytes", caps.path);
    std::string text;
    text.reserve(name.size());
    std::size_t parts = 0;
    while (!name.empty()) {
      const std::string_view part = name.substr(0, name.find('/'));
      name.remove_prefix(part.size() == name.size() ? part.size() : part.size() + 1);
      if (part.empty() || part == ".") continue;
      if (part == "..") return error(absl::StatusCode::kInvalidArgument, "its name contains '..'");
      if (part.size() > caps.component) return too("has a component of more bytes", caps.component);
      if (!text.empty()) text.push_back('/');
      text.append(part);
      if (++parts > caps.depth + 1) return too("is more directories deep", caps.depth);
    }
    return entry_path(std::move(text));
  }

  /// This path as it is seen from a directory above it; nothing where it is not below that.
  [[nodiscard]] std::optional<entry_path> below(std::string_view directory) const {
    if (text_ == directory) return entry_path(std::string());
    if (text_.size() <= directory.size() || !text_.starts_with(directory) || text_[directory.size()] != '/')
      return std::nullopt;
    return entry_path(text_.substr(directory.size() + 1));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_root() const { return text_.empty(); }
  /// All but the last component; empty is the root.
  [[nodiscard]] std::string_view parent() const {
    return std::string_view(text_).substr(0, name_at_ == 0 ? 0 : name_at_ - 1);
  }
  /// The last component.
  [[nodiscard]] const char* name() const { return text_.c_str() + name_at_; }

 private:
  explicit entry_path(std::string text) : text_(std::move(text)) {
    const std::size_t slash = text_.rfind('/');
    name_at_ = slash == std::string::npos ? 0 : slash + 1;
  }

  std::string text_;
  std::size_t name_at_ = 0;
};

}  // namespace mortise::archive
