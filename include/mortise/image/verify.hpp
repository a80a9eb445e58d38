// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether a store still holds what was put into it: every blob hashed again, every unpacked layer compared with what
/// its blob gives. Needs: RapidJSON, libcrypto, libarchive, libisal or zlib, libzstd.

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/inventory.hpp>
#include <mortise/image/layer_check.hpp>
#include <mortise/image/lease.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// What to verify, and what to do with what is damaged.
struct verify_options {
  bool repair = false;                           ///< takes damaged parts out of the store, and pulls their images anew
  const std::atomic<bool>* cancelled = nullptr;  ///< ends it with CANCELLED soon after it turns true
  /// Told of each part before it is looked at: its name in the store, and which of how many it is.
  std::function<void(std::string_view name, std::size_t at, std::size_t of)> hear = {};
};

/// One part that is not what it was.
struct damage {
  std::string name;  ///< in the store
  std::string why;
  std::vector<std::string> locations;  ///< of the images that need it
  bool removed = false;                ///< it was taken out
};

struct verification {
  std::size_t blobs = 0;      ///< that were hashed
  std::size_t layers = 0;     ///< unpacked ones that were compared with their blobs
  std::size_t unchecked = 0;  ///< unpacked layers whose blob is neither in the store nor at a source on this host
  std::uint64_t bytes = 0;    ///< hashed
  std::vector<damage> damaged;
  std::vector<std::string> pulled;    ///< locations that were pulled anew, whole again
  std::vector<std::string> problems;  ///< what could not be repaired, and why
};

namespace detail {

/// The store's own blobs, and where it has none those of a source on this host.
class blobs_at_hand final : public origin {
 public:
  blobs_at_hand(const store_directory& store, model::descriptor root, std::unique_ptr<origin> source)
      : stored_(store, std::move(root)), source_(std::move(source)) {}

  absl::StatusOr<std::vector<model::descriptor>> roots() override { return stored_.roots(); }
  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    auto found = stored_.open_blob(blob);
    return found.ok() || source_ == nullptr ? std::move(found) : source_->open_blob(blob);
  }

 private:
  stored_blobs stored_;
  std::unique_ptr<origin> source_;
};

/// The parts of one run; formats are verified one after the other.
class verifier {
 public:
  /// Opens a location that lies on this host; null for any other.
  using opener = std::function<std::unique_ptr<origin>(const std::string& location)>;

  verifier(const store_directory& store, const verify_options& options, opener open)
      : store_(store), options_(options), open_(std::move(open)), finder_(store) {}

  absl::Status begin() {
    MORTISE_ASSIGN_OR_RETURN(parts_, list_parts(store_));
    MORTISE_ASSIGN_OR_RETURN(images_, list_images(store_));
    for (const remembered_image& each : images_) {
      const auto keys = finder_.keys_of(each.record.manifest);
      if (!keys.ok()) {
        unreadable_.insert(each.record.location);
        needed_by_[store_directory::blob_name(each.record.manifest.digest)].push_back(each.record.location);
        continue;
      }
      for (const std::string& key : **keys) needed_by_[key].push_back(each.record.location);
    }
    return absl::OkStatus();
  }

  /// First of all, since layers are compared with what their blobs give.
  absl::Status verify_blobs() {
    for (const stored_part& part : parts_) {
      if (!part.is_blob) continue;
      MORTISE_RETURN_IF_ERROR(look_at(part.name));
      const absl::Status status = hash(part);
      if (absl::IsCancelled(status)) return status;
      ++out_.blobs;
      out_.bytes += part.bytes;
      if (!status.ok()) damaged(part, message(status));
    }
    return absl::OkStatus();
  }

  template <class Format>
  absl::Status verify_layers() {
    std::set<std::string> compared;
    for (const remembered_image& each : images_) {
      blobs_at_hand blobs(store_, each.record.manifest, open_(each.record.location));
      const auto image = read_image(blobs);
      if (!image.ok()) continue;  // one of its documents is damaged, and named
      provide_options options;
      options.cancelled = options_.cancelled;
      layer_check<Format> check(store_, blobs, *image, options);
      for (std::size_t at = 0; at < image->manifest.parsed.layers.size(); ++at)
        MORTISE_RETURN_IF_ERROR(verify_layer(check, at, compared));
      if constexpr (model::packed_layers<Format>) MORTISE_RETURN_IF_ERROR(verify_packed(check, compared));
    }
    for (const stored_part& part : parts_)
      if (!part.is_blob && belongs_to(part, Format::name) && !compared.contains(part.name)) ++out_.unchecked;
    return absl::OkStatus();
  }

  /// Takes out what is damaged, unless somebody works with it; returns the locations that lack something then.
  absl::StatusOr<std::set<std::string>> remove() {
    std::set<std::string> out = unreadable_;
    MORTISE_ASSIGN_OR_RETURN(const staging trash, store_.stage());
    MORTISE_ASSIGN_OR_RETURN(const gate shut, gate::shut(store_));
    MORTISE_ASSIGN_OR_RETURN(const auto leases, read_leases(store_, &shut));
    std::set<std::string> leased;
    for (const leased_image& each : leases)
      if (const auto keys = finder_.keys_of(each.manifest); keys.ok()) leased.insert((*keys)->begin(), (*keys)->end());
    for (std::size_t at = 0; at < out_.damaged.size(); ++at) {
      damage& each = out_.damaged[at];
      const bool is_blob = each.name.starts_with("blobs/");  // nobody runs from a blob
      if (!is_blob && leased.contains(key_of(each.name))) {
        out_.problems.push_back(concat("repair '", each.name, "': it is in use (end its containers first)"));
        continue;
      }
      each.removed = ::renameat(store_.fd(), each.name.c_str(), trash.fd(), std::to_string(at).c_str()) == 0;
      if (!each.removed && errno != ENOENT)
        out_.problems.emplace_back(message(errno_error(errno, concat("repair '", each.name, '\''))));
      out.insert(each.locations.begin(), each.locations.end());
    }
    return out;
  }

  [[nodiscard]] verification& out() { return out_; }
  [[nodiscard]] const std::vector<remembered_image>& images() const { return images_; }

 private:
  [[nodiscard]] absl::Status check_wanted() const {
    const bool cancelled = options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed);
    return cancelled ? error(absl::StatusCode::kCancelled, "cancelled") : absl::OkStatus();
  }

  absl::Status look_at(std::string_view name) {
    MORTISE_RETURN_IF_ERROR(check_wanted());
    if (options_.hear) options_.hear(name, at_, parts_.size());
    ++at_;
    return absl::OkStatus();
  }

  /// A blob's name says what it is the hash of.
  [[nodiscard]] absl::Status hash(const stored_part& part) const {
    const std::string_view below = std::string_view(part.name).substr(part.name.find('/') + 1);
    const std::size_t slash = below.find('/');
    auto digest = model::digest::parse(concat(below.substr(0, slash), ':', below.substr(slash + 1)));
    if (!digest.ok()) return error(absl::StatusCode::kDataLoss, "its name is no digest");
    MORTISE_ASSIGN_OR_RETURN(file_section file, open_file(store_.fd(), part.name));
    section_reader bytes(std::move(file));
    digest::verifying_reader<digest::openssl> verified(bytes, *std::move(digest), std::nullopt, "blob");
    std::vector<std::byte> buffer(std::size_t{256} << 10);
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, verified.read(buffer));
      if (got == 0) return absl::OkStatus();
      MORTISE_RETURN_IF_ERROR(check_wanted());
    }
  }

  template <class Check>
  absl::Status verify_layer(Check& check, std::size_t at, std::set<std::string>& compared) {
    const auto name = check.name_of(at);
    if (!name || compared.contains(*name)) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(look_at(*name));
    const auto same = check.check(at);
    if (absl::IsCancelled(same.status())) return same.status();
    if (!same.ok()) return absl::OkStatus();  // no sound blob to compare it with
    compared.insert(*name);
    ++out_.layers;
    if (*same) return absl::OkStatus();
    stored_part part;
    part.name = *name;
    part.key = key_of(*name);
    damaged(part, "its files are not those of its blob");
    return absl::OkStatus();
  }

  /// The index of an image's packed layers, where it has one.
  template <class Check>
  absl::Status verify_packed(Check& check, std::set<std::string>& compared) {
    const auto name = check.image_name();
    if (!name || !compared.insert(*name).second) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(look_at(*name));
    const auto same = check.check_image();
    if (absl::IsCancelled(same.status())) return same.status();
    if (!same.ok()) return absl::OkStatus();  // its layers are damaged, and named
    if (*same) return absl::OkStatus();
    stored_part part;
    part.name = *name;
    part.key = key_of(*name);
    damaged(part, "its index is not the one that its layers give");
    return absl::OkStatus();
  }

  /// "layers/overlay/HEX" is needed as "layers/HEX".
  static std::string key_of(const std::string& name) {
    if (name.starts_with("blobs/")) return name;
    return concat(name.substr(0, name.find('/')), name.substr(name.rfind('/')));
  }
  static bool belongs_to(const stored_part& part, std::string_view format) {
    const std::string_view below = std::string_view(part.name).substr(part.name.find('/') + 1);
    return below.substr(0, below.find('/')) == format;
  }

  void damaged(const stored_part& part, std::string_view why) {
    damage found{part.name, std::string(why), {}, false};
    if (const auto needed = needed_by_.find(part.key); needed != needed_by_.end()) found.locations = needed->second;
    out_.damaged.push_back(std::move(found));
  }

  const store_directory& store_;
  const verify_options& options_;
  opener open_;
  part_finder finder_;
  std::vector<stored_part> parts_;
  std::vector<remembered_image> images_;
  std::map<std::string, std::vector<std::string>> needed_by_;
  std::set<std::string> unreadable_;  ///< locations of images whose documents are damaged
  std::size_t at_ = 0;
  verification out_;
};

}  // namespace detail

}  // namespace mortise::image
