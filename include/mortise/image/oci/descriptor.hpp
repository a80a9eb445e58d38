// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reads descriptors: OCI image-spec descriptor.md, and the platform of image-index.md. Needs: RapidJSON,
/// libcrypto.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::image::oci {

/// The bytes of standard base64 with its padding, or nothing.
inline std::optional<std::string> decode_base64(std::string_view text) {
  const auto sextet = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
  };
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  out.reserve(text.size() * 3 / 4);
  unsigned bits = 0;
  unsigned held = 0;
  for (const char each : text) {
    const int value = sextet(each);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xff));
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;  // stray bits: two texts would mean the same bytes
  return out;
}

/// Never fails for an unknown system or architecture: such an entry is only not chosen.
inline absl::StatusOr<model::platform> read_platform(const json::value& from) {
  model::platform out;
  MORTISE_ASSIGN_OR_RETURN(out.os, from.text_or("os", ""));
  MORTISE_ASSIGN_OR_RETURN(out.architecture, from.text_or("architecture", ""));
  MORTISE_ASSIGN_OR_RETURN(out.variant, from.text_or("variant", ""));
  MORTISE_ASSIGN_OR_RETURN(out.os_features, from.texts_or_none("os.features"));
  return model::normalized(std::move(out));
}

namespace detail {

/// Embedded content counts only once it is what the descriptor says.
inline absl::Status read_embedded(const json::value& data, model::descriptor& into) {
  MORTISE_ASSIGN_OR_RETURN(const std::string encoded, data.text());
  auto content = decode_base64(encoded);
  if (!content) return data.refuse("it is not base64");
  text_reader bytes(*content);
  digest::verifying_reader<digest::openssl> verified(bytes, into.digest, into.size, "the embedded content");
  if (const absl::Status status = verified.drain(); !status.ok()) return data.refuse(message(status));
  into.data = *std::move(content);
  return absl::OkStatus();
}

template <class T>
absl::StatusOr<T> placed(absl::StatusOr<T> result, const json::value& where) {
  if (result.ok()) return result;
  return where.refuse(message(result.status()));
}

}  // namespace detail

inline absl::StatusOr<model::descriptor> read_descriptor(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const json::value type_at, from.member("mediaType"));
  MORTISE_ASSIGN_OR_RETURN(const json::value digest_at, from.member("digest"));
  MORTISE_ASSIGN_OR_RETURN(const json::value size_at, from.member("size"));
  MORTISE_ASSIGN_OR_RETURN(const std::string type_text, type_at.text());
  MORTISE_ASSIGN_OR_RETURN(const std::string digest_text, digest_at.text());
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t size, size_at.count());
  MORTISE_ASSIGN_OR_RETURN(auto type, detail::placed(model::media_type::parse(type_text), type_at));
  MORTISE_ASSIGN_OR_RETURN(auto digest, detail::placed(model::digest::parse(digest_text), digest_at));
  model::descriptor out{std::move(type), std::move(digest), size, {}, {}, {}, {}, {}};
  MORTISE_ASSIGN_OR_RETURN(const auto platform, from.optional("platform"));
  if (platform) {
    MORTISE_ASSIGN_OR_RETURN(out.platform, read_platform(*platform));
  }
  MORTISE_ASSIGN_OR_RETURN(out.artifact_type, from.text_or("artifactType", ""));
  MORTISE_ASSIGN_OR_RETURN(out.urls, from.texts_or_none("urls"));
  MORTISE_ASSIGN_OR_RETURN(out.annotations, from.pairs_or_none("annotations"));
  MORTISE_ASSIGN_OR_RETURN(const auto data, from.optional("data"));
  if (data) MORTISE_RETURN_IF_ERROR(detail::read_embedded(*data, out));
  return out;
}

}  // namespace mortise::image::oci
