// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// ACIs in a directory, and what a store and a backend make of the images that a source opens there.

#include <fcntl.h>

#include <archive/layer_stack.hpp>
#include <archive/pack.hpp>
#include <archive/pack_more.hpp>
#include <archive/tar_builder.hpp>
#include <array>
#include <image/appc/documents.hpp>
#include <image/layout_builder.hpp>
#include <memory>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/layer_view.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/model/platform.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace support {

/// The ID of an image by its uncompressed tar.
inline mortise::model::ac_image_id image_id(std::string_view tar) {
  mortise::digest::openssl hash(mortise::model::digest_algorithm::sha512);
  hash.update(std::as_bytes(std::span(tar)));
  return mortise::model::ac_image_id(hash.finish());
}

/// An ACI's tar: a manifest, and a rootfs with these files, whose contents are their names and `mark`.
inline std::string aci_tar(const std::string& manifest, const std::vector<std::string>& files,
                           const std::string& mark = {}) {
  tar_builder tar;
  tar.file("manifest", manifest).directory("rootfs/");
  for (const std::string& each : files) tar.file("rootfs/" + each, each + mark);
  return tar.text();
}

/// A dependency as a manifest lists it.
inline std::string aci_dependency(std::string_view name, std::string_view more = {}) {
  return mortise::concat(R"({"imageName":")", name, '"', more.empty() ? "" : ",", more, '}');
}
inline std::string aci_dependencies(const std::vector<std::string>& all) {
  return mortise::concat(R"("dependencies":[)", mortise::join(all, ","), ']');
}

/// A directory that simple discovery finds ACIs in.
class aci_directory {
 public:
  /// Puts an ACI where simple discovery looks for it; returns its image ID.
  std::string put(const std::string& name, const std::string& tar, std::string (*pack)(const std::string&) = nullptr,
                  const std::string& version = "latest") const {
    const std::string file = mortise::concat(name, '-', version, "-linux-", architecture(), ".aci");
    if (file.find('/') != std::string::npos)
      mortise::sys::make_directories(place_ / file.substr(0, file.rfind('/'))).IgnoreError();
    write_file(place_ / file, pack != nullptr ? pack(tar) : tar);
    return image_id(tar).text();
  }
  static std::string architecture() {
    const auto host = mortise::model::host_platform().architecture;
    return host == "arm64" ? "aarch64" : host;
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] std::string prefix() const { return "file://" + place_.path() + "/"; }
  [[nodiscard]] const std::string& path() const { return place_.path(); }

 private:
  temporary_directory place_;
};

/// An image as a store provides it: resolved, its layers unpacked one over another.
class provided_image {
 public:
  explicit provided_image(mortise::image::origin& from,
                          const mortise::model::platform& platform = mortise::model::host_platform()) {
    status = provide(from, platform);
  }

  absl::Status status;
  std::optional<mortise::image::resolved_image> image;
  std::vector<mortise::model::digest> keys;
  layer_stack<mortise::model::unprivileged_overlay_layers> layers;

  [[nodiscard]] std::string said() const { return std::string(mortise::message(status)); }

 private:
  absl::Status provide(mortise::image::origin& from, const mortise::model::platform& platform) {
    MORTISE_ASSIGN_OR_RETURN(image, mortise::image::resolve(from, platform));
    const auto& all = image->manifest.parsed.layers;
    for (std::size_t at = 0; at < all.size(); ++at) {
      const auto& diff_id = image->config.parsed.diff_ids[at];
      MORTISE_ASSIGN_OR_RETURN(const auto blob, from.open_blob(all[at]));
      mortise::digest::verifying_reader<mortise::digest::openssl> tar(*blob, diff_id, all[at].size, "layer");
      mortise::archive::apply_request request;
      MORTISE_ASSIGN_OR_RETURN(request.only, mortise::image::subtree_of(all[at]));
      MORTISE_RETURN_IF_ERROR(layers.add(tar, request).status());
      MORTISE_RETURN_IF_ERROR(tar.drain());
      keys.push_back(mortise::image::tree_key(all[at], diff_id));
    }
    return absl::OkStatus();
  }
};

}  // namespace support
