// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A packed image (model::erofs_layers) in a store: the index of its layers, beside the tars that it points into.
/// Needs: libcrypto, libarchive.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mortise/archive/apply_request.hpp>
#include <mortise/base/status.hpp>
#include <mortise/erofs/index.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/layer_record.hpp>
#include <mortise/image/packed_layer.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/unpacked_layers.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image {

/// One of its layers: where its tar lies, and what of it shows.
struct packed_layer {
  std::string tree;
  std::optional<archive::subtree> only;
};

/// Lies under the chain of its layers, and is shared by all images that have these. It is a cache: made from the layers
/// whenever there is none of this version of the writer, never fetched.
class packed_image {
 public:
  packed_image(const store_directory& store, layer_key top)
      : store_(store),
        unpacked_(store, concat(model::erofs_layers::name, '-', erofs::index_version)),
        top_(std::move(top)) {}

  /// Its directory, if it is there.
  [[nodiscard]] std::optional<std::string> find() const {
    const auto found = unpacked_.find(top_);
    return found ? std::optional(found->directory) : std::nullopt;
  }

  /// Makes it of its layers, bottom first, unless another process is faster. One index for each chain is written at a
  /// time. Fails as erofs::write_index does. Leaves nothing behind on failure.
  absl::StatusOr<std::string> make(const std::vector<packed_layer>& layers, const model::digest& diff_id,
                                   const std::atomic<bool>* cancelled) const {
    const auto stopped = [cancelled] { return cancelled != nullptr && cancelled->load(std::memory_order_relaxed); };
    MORTISE_ASSIGN_OR_RETURN(const auto lock,
                             file_lock::acquire(store_.locks(), concat("erofs-image-", top_.chain.hex()), stopped));
    if (auto there = find()) return *std::move(there);
    MORTISE_ASSIGN_OR_RETURN(const staging room, store_.stage());
    MORTISE_RETURN_IF_ERROR(unpacked_.discard_lost(top_, room));
    MORTISE_ASSIGN_OR_RETURN(const erofs::indexed made, build(room, layers, cancelled));
    layer_record record{diff_id, top_.chain, false, made.entries, made.metadata_bytes + made.flattened_bytes, {}};
    MORTISE_ASSIGN_OR_RETURN(auto published, unpacked_.publish(room, "image", top_, std::move(record)));
    return std::move(published.directory);
  }

  /// Whether its index, which is there, is the one that its layers give.
  absl::StatusOr<bool> check(const std::vector<packed_layer>& layers, const std::atomic<bool>* cancelled) const {
    const auto there = find();
    if (!there) return error(absl::StatusCode::kNotFound, "verify packed image: not there");
    MORTISE_ASSIGN_OR_RETURN(const staging room, store_.stage());
    MORTISE_RETURN_IF_ERROR(build(room, layers, cancelled).status());
    MORTISE_ASSIGN_OR_RETURN(const file_section right, open_file(room.fd(), "image/tree/index"));
    const auto kept = open_file(AT_FDCWD, concat(*there, "/index"));
    if (!kept.ok() || kept->size != right.size) return false;
    return same_bytes(right, *kept);
  }

 private:
  static absl::StatusOr<bool> same_bytes(const file_section& one, const file_section& other) {
    constexpr std::size_t piece = std::size_t{64} << 10;
    std::vector<std::byte> left(piece);
    std::vector<std::byte> right(piece);
    for (std::uint64_t at = 0; at < one.size;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, one.read_at(at, left));
      MORTISE_ASSIGN_OR_RETURN(const std::size_t also, other.read_at(at, std::span(right).first(got)));
      if (got == 0 || got != also || std::memcmp(left.data(), right.data(), got) != 0) return false;
      at += got;
    }
    return true;
  }

  /// In `image`/tree of the staging directory.
  static absl::StatusOr<erofs::indexed> build(const staging& room, const std::vector<packed_layer>& layers,
                                              const std::atomic<bool>* cancelled) {
    if (::mkdirat(room.fd(), "image", 0700) != 0 || ::mkdirat(room.fd(), "image/tree", 0755) != 0)
      return errno_error(errno, "make staging directory");
    std::vector<sys::unique_fd> tars;
    std::vector<erofs::layer_tar> sources;
    for (const packed_layer& each : layers) {
      const std::string from = concat(each.tree, '/', packed_tar);
      const std::string to = concat("image/tree/", tars.size());
      // A second name keeps the tar for as long as the image is there, and the image can be mounted from one directory.
      if (::linkat(AT_FDCWD, from.c_str(), room.fd(), to.c_str(), 0) != 0)
        return errno_error(errno, concat("link '", from, '\''));
      MORTISE_ASSIGN_OR_RETURN(tars.emplace_back(), sys::open_at(room.fd(), to, O_RDONLY | O_NOFOLLOW));
      sources.push_back({tars.back().get(), each.only});
    }
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd index,
                             sys::open_at(room.fd(), "image/tree/index", O_RDWR | O_CREAT | O_EXCL, 0644));
    erofs::index_options options;
    options.cancelled = cancelled;
    return erofs::write_index(sources, index.get(), options);
  }

  const store_directory& store_;
  unpacked_layers unpacked_;
  layer_key top_;
};

}  // namespace mortise::image
