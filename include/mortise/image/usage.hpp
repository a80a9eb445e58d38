// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How much room a store takes, and for which images. Needs: RapidJSON, libcrypto, libarchive, libisal or zlib,
/// libzstd.

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/image/inventory.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image {

/// What one image takes, in bytes: blobs, and the files of its layers in every format that they lie unpacked in.
struct image_usage {
  std::string location;
  std::string platform;
  std::uint64_t unique = 0;  ///< of parts that no other image needs: what removing it would free
  std::uint64_t shared = 0;  ///< of parts that others need too, in full; another location or platform is another image
  bool damaged = false;      ///< its documents cannot be read, so nothing is known of it
};

struct store_usage {
  std::vector<image_usage> images;  ///< by location and platform
  std::uint64_t blobs = 0;
  std::uint64_t layers = 0;
  std::uint64_t partials = 0;  ///< of unfinished fetches
  std::uint64_t garbage = 0;   ///< of blobs and layers that no image needs
  /// Of all that is there, each byte once.
  [[nodiscard]] std::uint64_t total() const { return blobs + layers + partials; }
};

/// Measures a store. Fails where it cannot be listed.
inline absl::StatusOr<store_usage> measure(const store_directory& store) {
  store_usage out;
  MORTISE_ASSIGN_OR_RETURN(const auto images, list_images(store));
  MORTISE_ASSIGN_OR_RETURN(const auto parts, list_parts(store));
  std::map<std::string, std::uint64_t> bytes;
  for (const stored_part& each : parts) {
    bytes[each.key] += each.bytes;
    (each.is_blob ? out.blobs : out.layers) += each.bytes;
  }
  part_finder finder(store);
  std::map<std::string, std::size_t> needers;
  for (const remembered_image& each : images) {
    const auto keys = finder.keys_of(each.record.manifest);
    if (!keys.ok()) continue;
    for (const std::string& key : **keys) ++needers[key];
  }
  for (const remembered_image& each : images) {
    image_usage& of = out.images.emplace_back(image_usage{each.record.location, each.record.platform, 0, 0, false});
    const auto keys = finder.keys_of(each.record.manifest);
    of.damaged = !keys.ok();
    if (!keys.ok()) continue;
    for (const std::string& key : **keys)
      if (const auto found = bytes.find(key); found != bytes.end())
        (needers[key] > 1 ? of.shared : of.unique) += found->second;
  }
  for (const auto& [key, size] : bytes)
    if (!needers.contains(key)) out.garbage += size;
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(store.fd(), "partial", [&](std::string_view name, unsigned char) {
    struct stat about{};
    if (::fstatat(store.fd(), concat("partial/", name).c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0)
      out.partials += static_cast<std::uint64_t>(about.st_size);
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace mortise::image
