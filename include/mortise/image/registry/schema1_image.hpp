// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Makes an image of today's form of one of schema 1, whose layers have to be pulled to know what is in them.
/// Needs: RapidJSON, libcrypto, libisal or zlib, libzstd.

#include <absl/status/statusor.h>
#include <fcntl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mortise/archive/decompress.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <mortise/image/docker/manifest.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/registry/schema1.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// What a schema 1 manifest became.
struct converted_image {
  model::descriptor manifest;  ///< with its content
  model::digest config_digest;
  std::string config;
  std::map<std::string, file_section> layers;  ///< by digest, in unnamed files
};

namespace detail {

/// Writes to a file and hashes on the way; keeps a flood from filling the disk.
class hashing_file_sink final : public fetch::sink {
 public:
  hashing_file_sink(int fd, model::digest_algorithm algorithm, std::uint64_t most)
      : fd_(fd), hash_(algorithm), most_(most) {}

  absl::Status begin(const fetch::response& /*about*/) override { return absl::OkStatus(); }
  absl::Status write(std::span<const std::byte> piece) override {
    if (piece.size() > most_ - size_)
      return error(absl::StatusCode::kResourceExhausted, concat("a layer is longer than ", most_, " bytes"));
    size_ += piece.size();
    hash_.update(piece);
    return sys::write_all(fd_, {reinterpret_cast<const char*>(piece.data()), piece.size()});
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  model::digest finish() { return hash_.finish(); }

 private:
  int fd_;
  digest::openssl hash_;
  std::uint64_t most_;
  std::uint64_t size_ = 0;
};

/// The digest of what a layer unpacks to.
inline absl::StatusOr<model::digest> diff_id_of(const file_section& blob, const archive::limits& caps) {
  section_reader packed(blob);
  MORTISE_ASSIGN_OR_RETURN(const auto tar, archive::decompress(packed, caps));
  digest::openssl hash;
  std::vector<std::byte> buffer(std::size_t{256} << 10);
  for (;;) {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, tar->read(buffer));
    if (got == 0) return hash.finish();
    hash.update(std::span(buffer).first(got));
  }
}

inline absl::StatusOr<model::descriptor> describe(std::string_view type, model::digest of, std::uint64_t size) {
  MORTISE_ASSIGN_OR_RETURN(auto parsed, model::media_type::parse(type));
  return model::descriptor{std::move(parsed), std::move(of), size, {}, {}, {}, {}, {}};
}

/// Pulls one layer into an unnamed file in `scratch` and checks its digest.
template <class Client>
absl::StatusOr<file_section> pull_to_file(Client& from, const model::digest& blob, const std::string& scratch,
                                          const archive::limits& caps) {
  MORTISE_ASSIGN_OR_RETURN(auto file, sys::open(scratch, O_RDWR | O_TMPFILE, 0600));
  hashing_file_sink into(file.get(), blob.algorithm(), caps.unpacked.count);
  MORTISE_ASSIGN_OR_RETURN(const auto wanted, describe(concat(media::docker_layer, ".gzip"), blob, 0));
  MORTISE_RETURN_IF_ERROR(from.blob(wanted, {}, {0, caps.unpacked.count}, into, nullptr));
  if (const auto actual = into.finish(); actual != blob)
    return error(absl::StatusCode::kDataLoss,
                 concat("verify layer ", blob.text(), ": the digest of what came is ", actual.text()));
  return file_section{std::make_shared<const sys::unique_fd>(std::move(file)), 0, into.size()};
}

}  // namespace detail

/// Converts a manifest of schema 1 whose digest was checked. `from` is a client of its repository.
/// Effects: pulls every layer into an unnamed file in `scratch` and hashes what it unpacks to.
/// Fails as parsing and pulling do, with DATA_LOSS for a layer that is not the right one, RESOURCE_EXHAUSTED for one
/// past `caps`.
template <class Client>
absl::StatusOr<converted_image> convert_schema_1(Client& from, std::string_view text, std::string_view subject,
                                                 const std::string& scratch, const archive::limits& caps = {}) {
  MORTISE_ASSIGN_OR_RETURN(const std::string payload, schema_1_payload(text, subject));
  MORTISE_ASSIGN_OR_RETURN(const auto old, parse_schema_1(payload, subject));
  std::map<std::string, file_section> files;
  std::map<std::string, model::digest> known;
  std::vector<model::digest> diff_ids;
  std::vector<model::descriptor> layers;
  for (const model::digest& each : old.layers) {
    if (!files.contains(each.text())) {
      MORTISE_ASSIGN_OR_RETURN(auto file, detail::pull_to_file(from, each, scratch, caps));
      MORTISE_ASSIGN_OR_RETURN(auto diff_id, detail::diff_id_of(file, caps));
      known.emplace(each.text(), std::move(diff_id));
      files.emplace(each.text(), std::move(file));
    }
    MORTISE_ASSIGN_OR_RETURN(auto layer,
                             detail::describe(concat(media::docker_layer, ".gzip"), each, files.at(each.text()).size));
    layers.push_back(std::move(layer));
    diff_ids.push_back(known.at(each.text()));
  }
  MORTISE_ASSIGN_OR_RETURN(std::string config, schema_1_config(old, diff_ids));
  const model::digest config_digest = digest::of(config);
  MORTISE_ASSIGN_OR_RETURN(const auto config_at, detail::describe(media::docker_config, config_digest, config.size()));
  std::string manifest = docker::manifest_text(config_at, layers);
  MORTISE_ASSIGN_OR_RETURN(auto at, detail::describe(media::docker_manifest, digest::of(manifest), manifest.size()));
  at.data = std::move(manifest);
  return converted_image{std::move(at), config_digest, std::move(config), std::move(files)};
}

}  // namespace mortise::image::distribution
