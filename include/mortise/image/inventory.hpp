// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a store holds, and which of it an image needs: what collecting, measuring and verifying begin with.
/// Needs: RapidJSON, libcrypto, libarchive, libisal or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/image_record.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/layer_record.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace mortise::image {

/// A location that a store remembers.
struct remembered_image {
  std::string name;  ///< of its file: "images/HEX"
  image_record record;
  std::chrono::sys_seconds used;  ///< last, by the wall clock of then
  bool pinned = false;            ///< the collector leaves it alone
};

inline std::string pin_name(std::string_view location) { return concat("pins/", digest::of(location).hex()); }

/// One that the file `name` holds; nothing where it is none, or gone.
inline std::optional<remembered_image> read_image_record(const store_directory& store, const std::string& name) {
  const auto text = sys::read_file_at(store.fd(), name, 64 << 10);
  auto record = text.ok() ? image_record::parse(*text) : std::nullopt;
  struct stat about{};
  if (!record || ::fstatat(store.fd(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  const bool pinned = ::faccessat(store.fd(), pin_name(record->location).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  return remembered_image{name, *std::move(record),
                          std::chrono::sys_seconds(std::chrono::seconds(about.st_mtim.tv_sec)), pinned};
}

/// All of them, by location and platform.
inline absl::StatusOr<std::vector<remembered_image>> list_images(const store_directory& store) {
  std::vector<remembered_image> out;
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(store.fd(), "images", [&](std::string_view name, unsigned char) {
    if (auto found = read_image_record(store, concat("images/", name))) out.push_back(*std::move(found));
    return absl::OkStatus();
  }));
  std::sort(out.begin(), out.end(), [](const remembered_image& a, const remembered_image& b) {
    return std::tie(a.record.location, a.record.platform) < std::tie(b.record.location, b.record.platform);
  });
  return out;
}

/// A blob, or an unpacked layer with its record.
struct stored_part {
  std::string name;  ///< in the store: "layers/overlay/HEX"
  std::string key;   ///< by which images need it, whatever the format: "layers/HEX"
  std::uint64_t bytes = 0;
  bool is_blob = false;
  bool lost = false;    ///< the machine may have gone down before it was on the disk: it counts for nothing
  bool synced = false;  ///< an unpacked layer that is known to be on the disk
  std::optional<model::digest> diff_id;  ///< of an unpacked layer
};

namespace detail {

inline absl::Status add_blobs(const store_directory& store, const std::string& folder, std::vector<stored_part>& into) {
  return sys::for_each_entry(store.fd(), folder, [&](std::string_view hex, unsigned char) {
    stored_part part;
    part.name = part.key = concat(folder, '/', hex);
    struct stat about{};
    if (::fstatat(store.fd(), part.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return absl::OkStatus();
    part.bytes = static_cast<std::uint64_t>(about.st_size);
    part.is_blob = true;
    into.push_back(std::move(part));
    return absl::OkStatus();
  });
}

inline absl::Status add_layers(const store_directory& store, const std::string& folder,
                               std::vector<stored_part>& into) {
  return sys::for_each_entry(store.fd(), folder, [&](std::string_view format, unsigned char) {
    const std::string inside = concat(folder, '/', format);
    return sys::for_each_entry(store.fd(), inside, [&](std::string_view hex, unsigned char) {
      stored_part part;
      part.name = concat(inside, '/', hex);
      part.key = concat(folder, '/', hex);
      const auto text = sys::read_file_at(store.fd(), concat(part.name, "/record"), 4096);
      const auto record = text.ok() ? layer_record::parse(*text) : std::nullopt;
      part.lost = !record || !record->holds();
      if (record) {
        part.bytes = record->bytes;
        part.synced = record->boot.empty();
        part.diff_id = record->diff_id;
      }
      into.push_back(std::move(part));
      return absl::OkStatus();
    });
  });
}

}  // namespace detail

/// All blobs and unpacked layers. Bytes of a layer are those of its files, as they were unpacked.
inline absl::StatusOr<std::vector<stored_part>> list_parts(const store_directory& store) {
  std::vector<stored_part> out;
  for (const char* const folder : {"blobs/sha256", "blobs/sha512"})
    MORTISE_RETURN_IF_ERROR(detail::add_blobs(store, folder, out));
  for (const char* const folder : {"layers", "chains"}) MORTISE_RETURN_IF_ERROR(detail::add_layers(store, folder, out));
  return out;
}

/// Says which parts images need, and keeps the answers: what a digest is of does not change.
class part_finder {
 public:
  explicit part_finder(const store_directory& store) : store_(store) {}

  /// The keys of all parts of the image, or artifact, with this manifest. Fails where its documents are gone or
  /// damaged.
  absl::StatusOr<const std::vector<std::string>*> keys_of(const model::descriptor& manifest) {
    const auto known = known_.find(manifest.digest.text());
    if (known != known_.end()) return &known->second;
    stored_blobs blobs(store_, manifest);
    MORTISE_ASSIGN_OR_RETURN(const auto root, read_root(blobs));
    std::vector<std::string> keys{store_directory::blob_name(root.digest),
                                  store_directory::blob_name(root.parsed.config.digest)};
    for (const model::descriptor& each : root.parsed.layers) keys.push_back(store_directory::blob_name(each.digest));
    if (role_of(root.parsed.config.type) == role::config) {  // no artifact: it may lie unpacked
      MORTISE_ASSIGN_OR_RETURN(const auto image, read_image(blobs));
      for (const layer_key& each : layer_keys(image)) {
        keys.push_back(concat("layers/", each.own.hex()));
        keys.push_back(concat("chains/", each.chain.hex()));
      }
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return &known_.emplace(manifest.digest.text(), std::move(keys)).first->second;
  }

 private:
  const store_directory& store_;
  std::map<std::string, std::vector<std::string>> known_;
};

}  // namespace mortise::image
