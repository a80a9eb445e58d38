// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Image locations as users write them: a scheme, and what the scheme makes of the rest.

#include <limits.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image {

/// PATH[:NAME][@DIGEST], for images that lie in a file or directory. As in other tools the path ends at the
/// first colon.
struct file_location {
  std::string path;
  std::string name;                     ///< a tag or reference; empty where the caller named none
  std::optional<model::digest> digest;  ///< decides where it is given

  /// `form` is shown where `text` has none: "oci:PATH[:TAG]".
  static absl::StatusOr<file_location> parse(std::string_view text, std::string_view form) {
    file_location out;
    const std::size_t at = text.rfind('@');
    if (at != std::string_view::npos) {
      if (auto digest = model::digest::parse(text.substr(at + 1)); digest.ok()) {
        out.digest = *std::move(digest);
        text = text.substr(0, at);
      }
    }
    const std::size_t colon = text.find(':');
    out.path = text.substr(0, colon);
    if (colon != std::string_view::npos) out.name = text.substr(colon + 1);
    const bool hole = out.path.empty() || out.path.find('\0') != std::string::npos;
    if (!hole && (colon == std::string_view::npos || !out.name.empty())) return out;
    return error(absl::StatusCode::kInvalidArgument,
                 concat("parse image location '", printable(text), "': a part is empty (write ", form, ')'));
  }
};

/// A location of the form SCHEME:PATH... as it reads from everywhere: a relative path begins at the working
/// directory.
inline std::string absolute_location(std::string_view text) {
  const std::size_t colon = text.find(':');
  std::string_view rest = text.substr(colon + 1);
  if (colon == std::string_view::npos || rest.starts_with('/')) return std::string(text);
  while (rest.starts_with("./")) rest.remove_prefix(2);
  std::array<char, PATH_MAX> here{};
  const bool known = ::getcwd(here.data(), here.size()) != nullptr;
  return concat(text.substr(0, colon + 1), known ? here.data() : ".", '/', rest);
}

/// What follows "`scheme`:", or nothing where `text` has another scheme.
inline std::optional<std::string_view> after_scheme(std::string_view text, std::string_view scheme) {
  if (!text.starts_with(scheme) || text.size() == scheme.size() || text[scheme.size()] != ':') return std::nullopt;
  return text.substr(scheme.size() + 1);
}

}  // namespace mortise::image
