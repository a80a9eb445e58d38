// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// OpenPGP's ASCII armor taken off a public key, since gpgv reads keyrings in binary form only: RFC 4880, section 6.

#include <mortise/image/oci/descriptor.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::image::appc {

/// The bytes of the armored public keys in a text, one after another; a text that holds no armor is binary already.
/// Nothing for armor that is malformed. What the bytes say is for others to check.
inline std::optional<std::string> without_armor(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
  constexpr std::string_view end = "-----END PGP PUBLIC KEY BLOCK-----";
  if (text.find(begin) == std::string_view::npos) return std::string(text);
  std::string out;
  for (std::size_t at = 0; (at = text.find(begin)) != std::string_view::npos;) {
    text.remove_prefix(at + begin.size());
    const std::size_t stop = text.find(end);
    if (stop == std::string_view::npos) return std::nullopt;
    std::string base64;
    bool headers = true;
    for (std::string_view line : split(text.substr(0, stop), '\n')) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
      if (headers && (line.empty() || line.find(": ") != std::string_view::npos)) continue;
      headers = false;
      if (line.starts_with('=')) break;  // the checksum, which guards against accidents only
      base64.append(line);
    }
    const auto bytes = oci::decode_base64(base64);
    if (!bytes || bytes->empty()) return std::nullopt;
    out.append(*bytes);
  }
  return out;
}

}  // namespace mortise::image::appc
