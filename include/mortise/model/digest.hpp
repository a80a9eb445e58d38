// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A content digest that only a validating constructor makes: OCI image-spec descriptor.md, "Digests".

#include <absl/status/statusor.h>

#include <compare>
#include <mortise/base/status.hpp>
#include <string>
#include <string_view>

namespace mortise::model {

/// The algorithms that mortise computes. A digest of another one is refused when it is parsed.
enum class digest_algorithm : unsigned char { sha256, sha512 };

constexpr std::string_view name_of(digest_algorithm algorithm) {
  return algorithm == digest_algorithm::sha256 ? "sha256" : "sha512";
}

/// The length of the hexadecimal part.
constexpr std::size_t hex_length(digest_algorithm algorithm) {
  return algorithm == digest_algorithm::sha256 ? 64 : 128;
}

/// "sha256:" and 64 lower-case hexadecimal digits, or "sha512:" and 128: safe as a file name by construction.
class digest {
 public:
  /// Fails with INVALID_ARGUMENT for anything else; the message quotes the text made printable.
  static absl::StatusOr<digest> parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument, concat("parse digest '", printable(text, 160), "': ", why));
    };
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return refuse("no algorithm before a ':'");
    const std::string_view algorithm = text.substr(0, colon);
    for (const auto known : {digest_algorithm::sha256, digest_algorithm::sha512}) {
      if (algorithm != name_of(known)) continue;
      const std::string_view hex = text.substr(colon + 1);
      if (hex.size() != hex_length(known))
        return refuse(concat(name_of(known), " needs ", hex_length(known), " digits"));
      if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return refuse("only lower-case hexadecimal digits are allowed");
      return digest(known, std::string(text));
    }
    return refuse("unsupported algorithm (sha256 and sha512 are)");
  }

  /// From the raw bytes of a finished hash: exactly hex_length / 2 of them.
  static digest from_bytes(digest_algorithm algorithm, std::string_view raw) {
    static constexpr char letters[] = "0123456789abcdef";
    std::string text = concat(name_of(algorithm), ':');
    for (const char each : raw) {
      const auto byte = static_cast<unsigned char>(each);
      text.push_back(letters[byte >> 4]);
      text.push_back(letters[byte & 15]);
    }
    return {algorithm, std::move(text)};
  }

  [[nodiscard]] digest_algorithm algorithm() const { return algorithm_; }
  /// "sha256:0123..."
  [[nodiscard]] const std::string& text() const { return text_; }
  /// "0123...": the part after the colon.
  [[nodiscard]] std::string_view hex() const { return std::string_view(text_).substr(name_of(algorithm_).size() + 1); }
  /// The first twelve digits, as container tools show it.
  [[nodiscard]] std::string_view brief() const { return hex().substr(0, 12); }

  bool operator==(const digest&) const = default;
  auto operator<=>(const digest& other) const { return text_ <=> other.text_; }

 private:
  digest(digest_algorithm algorithm, std::string text) : algorithm_(algorithm), text_(std::move(text)) {}

  digest_algorithm algorithm_;
  std::string text_;
};

}  // namespace mortise::model
