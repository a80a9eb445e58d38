// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether an image's layers in a store are still what their blobs give. Needs: libcrypto, libarchive, libisal or zlib,
/// libzstd.

#include <fcntl.h>

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/layer_pull.hpp>
#include <mortise/image/packed_image.hpp>
#include <mortise/image/packed_layer.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/tree_digest.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <string>

namespace mortise::image {

/// Looks at one image. The origin is no remote one.
template <class Format>
class layer_check : layer_pull<Format, no_progress> {
  using pull = layer_pull<Format, no_progress>;
  using pull::keys_;
  using pull::missing_;
  using pull::options_;
  using pull::ready_;
  using pull::room_;
  using pull::store_;

 public:
  layer_check(const store_directory& store, origin& from, const resolved_image& image, const provide_options& options)
      : pull(store, from, image, options, quiet) {
    this->look();
  }

  /// Where the store keeps a layer; nothing where it does not.
  [[nodiscard]] std::optional<std::string> name_of(std::size_t at) const {
    return ready_[at] ? std::optional(name_in_store(ready_[at]->directory)) : std::nullopt;
  }
  /// Where it keeps the index of a packed image.
  [[nodiscard]] std::optional<std::string> image_name() const {
    const auto tree = keys_.empty() ? std::nullopt : packed_image(store_, keys_.back()).find();
    return tree ? std::optional(name_in_store(*tree)) : std::nullopt;
  }

  /// Makes a layer that is there once more from its blob: whether the two are equal. A packed one is hashed. Leaves
  /// nothing behind.
  /// Fails with NOT_FOUND where it or one below it is not there, and as unpacking does: then nothing can be told.
  absl::StatusOr<bool> check(std::size_t at) {
    for (std::size_t below = 0; below <= at; ++below) {
      if (!ready_[below])
        return error(absl::StatusCode::kNotFound, concat("verify ", this->subject(below), ": not there"));
    }
    if constexpr (model::packed_layers<Format>) {
      return check_packed(ready_[at]->directory, this->diff_id(at), options_.cancelled);
    } else {
      missing_ = {at};
      MORTISE_ASSIGN_OR_RETURN(const staging room, store_.stage());
      room_ = &room;
      auto same = compare(at);
      room_ = nullptr;
      if (!same.ok()) return annotate(same.status(), concat("verify ", this->subject(at)));
      return same;
    }
  }

  /// Of a packed form: whether the image's index is what its layers give.
  absl::StatusOr<bool> check_image() {
    if (!missing_.empty())
      return error(absl::StatusCode::kNotFound, "verify packed image: not all its layers are there");
    MORTISE_ASSIGN_OR_RETURN(const auto layers, this->packed_parts());
    return packed_image(store_, keys_.back()).check(layers, options_.cancelled);
  }

 private:
  static inline no_progress quiet;

  [[nodiscard]] std::string name_in_store(const std::string& tree) const {
    const std::size_t from = store_.path().size() + 1;
    return tree.substr(from, tree.rfind('/') - from);
  }

  absl::StatusOr<bool> compare(std::size_t at) {
    MORTISE_RETURN_IF_ERROR(this->make_tree(0, "layer").status());
    MORTISE_ASSIGN_OR_RETURN(const auto made, sys::open_at(room_->fd(), "layer/tree", O_RDONLY | O_DIRECTORY));
    MORTISE_ASSIGN_OR_RETURN(const auto kept, sys::open(ready_[at]->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return same_tree(made.get(), kept.get(), options_.cancelled);
  }
};

}  // namespace mortise::image
