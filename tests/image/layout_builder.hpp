// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Writes OCI image layouts for tests, sound ones in a few words and unsound ones piece by piece.

#include <sys/stat.h>

#include <archive/pack.hpp>
#include <archive/tar_builder.hpp>
#include <cstddef>
#include <fstream>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/sys/file.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

inline void write_file(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::runtime_error("write '" + path + "'");
}

inline std::string read_file(const std::string& path) {
  auto text = mortise::sys::read_file(path, 1 << 30);
  if (!text.ok()) throw std::runtime_error(std::string(mortise::message(text.status())));
  return *std::move(text);
}

inline std::string sha256(std::string_view content) { return mortise::digest::of(content).text(); }

/// {"mediaType":...,"digest":...,"size":...} and what `more` adds: R"(,"platform":{...})".
inline std::string descriptor(std::string_view type, std::string_view content, std::string_view more = {}) {
  return mortise::concat(R"({"mediaType":")", type, R"(","digest":")", sha256(content), R"(","size":)", content.size(),
                         more, '}');
}

/// A layer as it lies in an image: what is unpacked, and how that is packed.
struct test_layer {
  std::string tar;
  std::string blob;
  std::string type;
};
inline test_layer plain_layer(const std::string& tar) {
  return {tar, tar, std::string(mortise::image::media::oci_layer)};
}
inline test_layer gzip_layer(const std::string& tar) {
  return {tar, gzip(tar), mortise::concat(mortise::image::media::oci_layer, "+gzip")};
}
inline test_layer zstd_layer(const std::string& tar) {
  return {tar, zstd(tar), mortise::concat(mortise::image::media::oci_layer, "+zstd")};
}

/// A configuration for these layers; `more` adds members: R"(,"config":{...})".
inline std::string config_text(const std::vector<test_layer>& layers, std::string_view more = {},
                               std::string_view architecture = "amd64") {
  std::vector<std::string> diff_ids;
  for (const test_layer& each : layers) diff_ids.push_back('"' + sha256(each.tar) + '"');
  return mortise::concat(R"({"os":"linux","architecture":")", architecture,
                         R"(","rootfs":{"type":"layers","diff_ids":[)", mortise::join(diff_ids, ","), "]}", more, '}');
}

inline std::string manifest_text(std::string_view config_descriptor, const std::vector<std::string>& layer_descriptors,
                                 std::string_view more = {}) {
  return mortise::concat(R"({"schemaVersion":2,"mediaType":")", mortise::image::media::oci_manifest, R"(","config":)",
                         config_descriptor, R"(,"layers":[)", mortise::join(layer_descriptors, ","), ']', more, '}');
}

inline std::string index_text(const std::vector<std::string>& descriptors) {
  return mortise::concat(R"({"schemaVersion":2,"manifests":[)", mortise::join(descriptors, ","), "]}");
}

/// R"(,"annotations":{"org.opencontainers.image.ref.name":"tag"})"
inline std::string tagged(std::string_view tag) {
  return mortise::concat(R"(,"annotations":{"org.opencontainers.image.ref.name":)", mortise::image::json::quoted(tag),
                         "}");
}
inline std::string for_platform(std::string_view os, std::string_view architecture, std::string_view variant = {}) {
  std::string out = mortise::concat(R"(,"platform":{"os":")", os, R"(","architecture":")", architecture, '"');
  if (!variant.empty()) mortise::append(out, R"(,"variant":")", variant, '"');
  return out + '}';
}

class layout_builder {
 public:
  explicit layout_builder(std::string directory) : directory_(std::move(directory)) {
    ::mkdir(directory_.c_str(), 0755);
    ::mkdir((directory_ + "/blobs").c_str(), 0755);
    ::mkdir((directory_ + "/blobs/sha256").c_str(), 0755);
    write_file(directory_ + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }

  [[nodiscard]] const std::string& path() const { return directory_; }
  [[nodiscard]] std::string blob_path(std::string_view content) const {
    return directory_ + "/blobs/sha256/" + sha256(content).substr(7);
  }

  /// Adds a blob; returns its content, to be described.
  std::string put(std::string content) {
    write_file(blob_path(content), content);
    return content;
  }

  /// Adds an image's layers, configuration and manifest; returns the manifest.
  std::string put_image(const std::vector<test_layer>& layers, std::string_view config_more = {},
                        std::string_view architecture = "amd64") {
    std::vector<std::string> descriptors;
    for (const test_layer& each : layers) descriptors.push_back(descriptor(each.type, put(each.blob)));
    const std::string config = put(config_text(layers, config_more, architecture));
    return put(manifest_text(descriptor(mortise::image::media::oci_config, config), descriptors));
  }

  /// index.json with these descriptors.
  void write_index(const std::vector<std::string>& descriptors) {
    write_file(directory_ + "/index.json", index_text(descriptors));
  }

  /// The common case: one image, tagged.
  std::string write_image(const std::vector<test_layer>& layers, std::string_view tag = "latest",
                          std::string_view config_more = {}) {
    const std::string manifest = put_image(layers, config_more);
    write_index({descriptor(mortise::image::media::oci_manifest, manifest, tagged(tag))});
    return manifest;
  }

 private:
  std::string directory_;
};

}  // namespace support
