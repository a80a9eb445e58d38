// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a store remembers of an image: which location it came from, for which platform, and its manifest.

#include <array>
#include <cstdint>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/layer_record.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image {

struct image_record {
  std::string location;
  std::string platform;        ///< what was asked for
  model::descriptor manifest;  ///< what that was, then
  std::string fingerprint;     ///< of the origin, then; empty where it must be asked each time

  /// The name of the record's file in a store: a function of location and platform.
  static std::string name_of(std::string_view location, std::string_view platform) {
    return concat("images/", digest::of(concat(platform, '\n', location)).hex());
  }
  [[nodiscard]] std::string name() const { return name_of(location, platform); }

  [[nodiscard]] std::string text() const {
    return write_lines(names, {std::string(version), platform, manifest.type.text(), manifest.digest.text(),
                               std::to_string(manifest.size), fingerprint.empty() ? "-" : fingerprint, location});
  }

  static std::optional<image_record> parse(std::string_view text) {
    auto lines = read_lines(text, names);
    if (!lines || (*lines)[0] != version) return std::nullopt;
    auto type = model::media_type::parse((*lines)[2]);
    auto digest = model::digest::parse((*lines)[3]);
    const auto size = parse_number<std::uint64_t>((*lines)[4]);
    if (!type.ok() || !digest.ok() || !size) return std::nullopt;
    if ((*lines)[5] == "-") (*lines)[5].clear();
    model::descriptor manifest{*std::move(type), *std::move(digest), *size, {}, {}, {}, {}, {}};
    return image_record{std::move((*lines)[6]), std::move((*lines)[1]), std::move(manifest), std::move((*lines)[5])};
  }

 private:
  static constexpr std::string_view version = "1";
  static constexpr std::array<std::string_view, 7> names{"image", "platform",    "type",    "digest",
                                                         "size",  "fingerprint", "location"};
};

}  // namespace mortise::image
