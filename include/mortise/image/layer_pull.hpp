// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Makes an image's layers ready in a store: those that are missing are fetched, verified and unpacked, several
/// at once, each in one streaming pass: unpacking begins with a blob's first bytes. Needs: libcrypto, libarchive,
/// libisal or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/apply.hpp>
#include <mortise/archive/decompress.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/ahead_reader.hpp>
#include <mortise/image/blob_fetches.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/inherit_root.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/layer_view.hpp>
#include <mortise/image/metered_reader.hpp>
#include <mortise/image/packed_image.hpp>
#include <mortise/image/packed_layer.hpp>
#include <mortise/image/ready_layers.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/tree_digest.hpp>
#include <mortise/image/unpacked_layers.hpp>
#include <mortise/image/whole_blocks.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace mortise::image {

/// Layers are taken bottom first. One that needs something from those below (a parent directory's
/// attributes, the target of a hard link) waits until they are published; they were taken before it, so
/// this ends. Between processes one layer of one chain is made by one of them, under a lock named by the
/// chain ID: who holds it waits only for shorter chains, so no two can wait for each other.
template <class Format, class Progress>
class layer_pull {
 public:
  layer_pull(const store_directory& store, origin& from, const resolved_image& image, const provide_options& options,
             Progress& progress)
      : store_(store),
        unpacked_(store, Format::name),
        from_(from),
        image_(image),
        options_(options),
        progress_(progress),
        keys_(layer_keys(image)),
        ready_(keys_.size()) {}

  /// What a backend reads, if it is all there already; touches no origin.
  std::optional<model::layers> ready() {
    if constexpr (model::packed_layers<Format>) {
      const auto image = keys_.empty() ? std::nullopt : packed_image(store_, keys_.back()).find();
      if (!image) return look(), std::nullopt;
      for (std::size_t at = 0; at < ready_.size(); ++at) report(at, progress::stage::ready, 0, true);
      return model::layers{{diff_id(ready_.size() - 1), *image}};
    } else {
      look();
      return missing_.empty() ? std::optional(result()) : std::nullopt;
    }
  }

  /// Finds out which layers are there.
  void look() {
    missing_.clear();
    for (std::size_t at = 0; at < ready_.size(); ++at) {
      ready_.set(at, unpacked_.find(keys_[at]));
      if (!ready_[at]) missing_.push_back(at);
    }
  }

  /// The same, after making what is missing. Bytes that turn out to be wrong are fetched again where that
  /// may help: they lay here half-fetched, or the origin can ask another server.
  /// Leaves behind on failure: the layers that were finished.
  absl::StatusOr<model::layers> run() {
    for (unsigned attempt = 1;; ++attempt) {
      if (auto all = ready()) return *std::move(all);
      failure_ = absl::OkStatus();
      stopped_ = false;
      taken_ = 0;
      absl::Status status = from_.is_remote() ? fetch_and_unpack() : unpack_missing();
      if (!status.ok() && (attempt == most_attempts || !worth_another_try_)) return status;
      if (status.ok()) return finish();
    }
  }

 protected:
  [[nodiscard]] const model::digest& diff_id(std::size_t at) const { return image_.config.parsed.diff_ids[at]; }
  [[nodiscard]] const model::descriptor& blob(std::size_t at) const { return image_.manifest.parsed.layers[at]; }
  [[nodiscard]] std::string subject(std::size_t at) const {
    return concat("layer ", at + 1, " of ", ready_.size(), " (", diff_id(at).brief(), ')');
  }

  /// All layers are there.
  absl::StatusOr<model::layers> finish() {
    model::layers layers = result();
    if constexpr (model::packed_layers<Format>) {
      if (keys_.empty()) return error(absl::StatusCode::kInvalidArgument, "the image has no layers");
      MORTISE_ASSIGN_OR_RETURN(const auto parts, packed_parts());
      const model::digest& top = diff_id(ready_.size() - 1);
      MORTISE_ASSIGN_OR_RETURN(auto image, packed_image(store_, keys_.back()).make(parts, top, options_.cancelled));
      layers = {{top, std::move(image)}};
    }
    return layers;
  }

  [[nodiscard]] absl::StatusOr<std::vector<packed_layer>> packed_parts() const {
    std::vector<packed_layer> out;
    for (std::size_t at = 0; at < ready_.size(); ++at) {
      MORTISE_ASSIGN_OR_RETURN(auto only, subtree_of(blob(at)));
      out.push_back({ready_[at]->directory, std::move(only)});
    }
    return out;
  }

  /// Bottom first, from the top-most that hides all below it.
  model::layers result() {
    model::layers out;
    for (std::size_t at = 0; at < ready_.size(); ++at) {
      if (std::find(missing_.begin(), missing_.end(), at) == missing_.end())
        report(at, progress::stage::ready, 0, true);
      if (ready_[at]->opaque_root) out.clear();
      out.push_back({diff_id(at), ready_[at]->directory, ready_[at]->opaque_root});
    }
    return out;
  }

  /// The blobs come by threads of their own, bottom first, ahead of those that unpack.
  absl::Status fetch_and_unpack() {
    std::vector<model::descriptor> blobs;
    blobs.reserve(missing_.size());
    for (const std::size_t at : missing_) blobs.push_back(blob(at));
    fetch_plan plan;
    if (options_.connections != 0) plan.connections = options_.connections;
    plan.wanted = [this](std::size_t which) {  // another process may have made the layer meanwhile
      const std::size_t at = missing_[which];
      return check_wanted().ok() && !unpacked_.find(keys_[at]) && !find_packed(store_, keys_[at]);
    };
    plan.hear = [this](std::size_t which, std::uint64_t have) {
      report(missing_[which], progress::stage::fetching, have);
    };
    blob_fetches fetches(store_, from_, blobs, std::move(plan));
    MORTISE_RETURN_IF_ERROR(fetches.start());
    fetches_ = &fetches;
    const absl::Status status = unpack_missing();
    fetches_ = nullptr;
    worth_another_try_ = absl::IsDataLoss(status) && fetches.worth_another_try();
    return status;
  }

  absl::Status unpack_missing() {
    MORTISE_ASSIGN_OR_RETURN(const staging room, store_.stage());
    room_ = &room;
    const unsigned processors = std::max(std::thread::hardware_concurrency(), 1U);
    const unsigned wished = options_.jobs != 0 ? options_.jobs : std::min(processors, 4U);
    spare_processors_ = options_.jobs != 1 && missing_.size() < processors;
    {
      std::vector<std::jthread> helpers;
      while (helpers.size() + 1 < std::min<std::size_t>(wished, missing_.size())) {
        try {
          helpers.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
          break;  // fewer threads do it too
        }
      }
      work();
    }
    room_ = nullptr;
    return failure_;
  }

  void work() {
    for (std::size_t next = 0; (next = taken_.fetch_add(1)) < missing_.size();) {
      const std::size_t at = missing_[next];
      const absl::Status status = annotate(provide_one(next), concat("unpack ", subject(at)));
      if (status.ok()) continue;
      const std::lock_guard guard(mutex_);
      if (failure_.ok()) failure_ = status;
      stopped_ = true;
      return;
    }
  }

  absl::Status provide_one(std::size_t which) {
    const std::size_t at = missing_[which];
    MORTISE_RETURN_IF_ERROR(check_wanted());
    report(at, progress::stage::waiting, 0);
    const std::string name = concat(Format::name, '-', keys_[at].chain.hex());
    MORTISE_ASSIGN_OR_RETURN(const auto lock,
                             file_lock::acquire(store_.locks(), name, [this] { return !check_wanted().ok(); }));
    auto found = unpacked_.find(keys_[at]);  // another may have made it while we waited
    const bool cached = found.has_value();
    if (!cached) {
      MORTISE_RETURN_IF_ERROR(unpacked_.discard_lost(keys_[at], *room_));
      MORTISE_ASSIGN_OR_RETURN(found, make(which));
    }
    report(at, progress::stage::ready, cached ? 0 : blob(at).size, cached);
    ready_.set(at, std::move(found));
    return absl::OkStatus();
  }

  /// Unpacks one layer into the staging directory and publishes it.
  absl::StatusOr<unpacked_layer> make(std::size_t which) {
    const std::size_t at = missing_[which];
    const std::string name = concat("layer-", at);
    MORTISE_ASSIGN_OR_RETURN(auto record, make_tree(which, name));
    return unpacked_.publish(*room_, name, keys_[at], std::move(record));
  }

  /// Unpacks one layer to `name`/tree in the staging directory.
  absl::StatusOr<layer_record> make_tree(std::size_t which, const std::string& name) {
    const std::size_t at = missing_[which];
    const std::string tree = concat(name, "/tree");
    if (::mkdirat(room_->fd(), name.c_str(), 0700) != 0 || ::mkdirat(room_->fd(), tree.c_str(), 0755) != 0)
      return errno_error(errno, "make staging directory");
    MORTISE_ASSIGN_OR_RETURN(const auto root, sys::open_at(room_->fd(), tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    lower_trees below;
    MORTISE_ASSIGN_OR_RETURN(const auto applied, unpack(which, root.get(), below));
    layer_record record{diff_id(at), {}, applied.opaque_root, applied.entries, applied.bytes, {}};
    bool depends = applied.depends_on_lower;
    if (!applied.root_entry && at > 0) {
      MORTISE_RETURN_IF_ERROR(open_lower(at, below));
      MORTISE_ASSIGN_OR_RETURN(const bool changed, inherit_root(below.fds.front(), root.get()));
      depends = depends || changed;
    }
    if (depends) record.chain_id = keys_[at].chain;
    return record;
  }

  /// Bytes that cannot be unpacked may not be the blob's at all: then that is the failure, and may be mended.
  absl::StatusOr<archive::applied> unpack(std::size_t which, int root, lower_trees& below) {
    auto applied = unpack_stream(which, root, below);
    if (applied.ok() || fetches_ == nullptr || !check_wanted().ok()) return applied;
    if (find_packed(store_, keys_[missing_[which]])) return applied;
    absl::Status blob = drain(*fetches_->at(which).follow([this] { return check_wanted(); }));
    if (absl::IsDataLoss(blob)) return blob;
    return applied;
  }

  /// One pass: blob, its digest and size, decompression, diff ID, files. A layer that lies there plain has
  /// one digest for both, and is hashed once. What is fetched is verified by who fetches it.
  absl::StatusOr<archive::applied> unpack_stream(std::size_t which, int root, lower_trees& below) {
    const std::size_t at = missing_[which];
    std::atomic<bool> given_up = false;  // whoever reads ahead must not wait for a blob that is no use any more
    if (auto packed = find_packed(store_, keys_[at])) {  // made for another backend
      section_reader bytes(*std::move(packed));
      digest::verifying_reader<digest::openssl> tar(bytes, diff_id(at), std::nullopt,
                                                    "diff ID of the layer's tar here");
      return apply_ahead(at, tar, root, below, given_up);
    }
    MORTISE_ASSIGN_OR_RETURN(const auto opened, open(which, given_up));
    metered_reader metered(*opened, [this, at](std::uint64_t total) {
      report(at, progress::stage::unpacking, total);
      return check_wanted();
    });
    const model::descriptor& from = blob(at);
    std::optional<digest::verifying_reader<digest::openssl>> verified;
    if (fetches_ == nullptr) verified.emplace(metered, from.digest, from.size, concat("blob ", from.digest.text()));
    reader& packed = verified ? static_cast<reader&>(*verified) : metered;
    if (from.digest == diff_id(at)) return apply(at, packed, root, below);
    MORTISE_ASSIGN_OR_RETURN(const auto plain, archive::decompress(packed));
    digest::verifying_reader<digest::openssl> tar(*plain, diff_id(at), std::nullopt, "diff ID");
    MORTISE_ASSIGN_OR_RETURN(const auto applied, apply_ahead(at, tar, root, below, given_up));
    MORTISE_RETURN_IF_ERROR(drain(packed));
    return applied;
  }

  absl::StatusOr<std::unique_ptr<reader>> open(std::size_t which, const std::atomic<bool>& given_up) {
    const model::descriptor& from = blob(missing_[which]);
    if (fetches_ != nullptr)
      return fetches_->at(which).follow([this, &given_up] {
        return given_up ? error(absl::StatusCode::kAborted, "its layer cannot be unpacked") : check_wanted();
      });
    auto opened = from_.open_blob(from);
    if (absl::IsNotFound(opened.status()) && role_of(from.type) == role::foreign_layer)
      return annotate(opened.status(), "its content is foreign, kept elsewhere by its publisher");
    return opened;
  }

  /// Where processors would idle, inflating and hashing gets a thread of its own beside the one that writes files.
  absl::StatusOr<archive::applied> apply_ahead(std::size_t at, reader& tar, int root, lower_trees& below,
                                               std::atomic<bool>& given_up) {
    if (!spare_processors_) return apply(at, tar, root, below);
    ahead_reader ahead(tar);
    auto applied = apply(at, ahead, root, below);
    given_up = !applied.ok();
    return applied;
  }

  absl::StatusOr<archive::applied> apply(std::size_t at, reader& tar, int root, lower_trees& below) {
    if constexpr (model::packed_layers<Format>) {
      return write_packed(tar, root);
    } else {
      return make_files(at, tar, root, below);
    }
  }

  absl::StatusOr<archive::applied> make_files(std::size_t at, reader& tar, int root, lower_trees& below) {
    archive::apply_request request;
    request.staging = root;
    request.cancelled = options_.cancelled;
    MORTISE_ASSIGN_OR_RETURN(request.only, subtree_of(blob(at)));
    if (at > 0)
      request.lower = [this, at, &below]() -> absl::StatusOr<std::span<const int>> {
        MORTISE_RETURN_IF_ERROR(open_lower(at, below));
        return std::span<const int>(below.fds);
      };
    whole_blocks padded(tar);
    MORTISE_ASSIGN_OR_RETURN(const auto applied, archive::apply<Format>(padded, request));
    MORTISE_RETURN_IF_ERROR(drain(tar));  // what follows the tar's end is part of its digest
    return applied;
  }

  absl::Status open_lower(std::size_t at, lower_trees& into) {
    return ready_.open_below(at, into, [this] { return check_wanted(); });
  }

  /// Not OK once the caller gave up or another layer failed.
  [[nodiscard]] absl::Status check_wanted() const {
    const bool cancelled = options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed);
    if (cancelled) return error(absl::StatusCode::kCancelled, "cancelled");
    if (stopped_) return error(absl::StatusCode::kAborted, "another layer failed");
    return absl::OkStatus();
  }

  void report(std::size_t at, progress::stage now, std::uint64_t done, bool cached = false) {
    const std::lock_guard guard(reporting_);
    progress_(progress{at, ready_.size(), now, done, blob(at).size, cached});
  }

  static constexpr unsigned most_attempts = 3;

  const store_directory& store_;
  unpacked_layers unpacked_;
  origin& from_;
  const resolved_image& image_;
  const provide_options& options_;
  Progress& progress_;
  std::vector<layer_key> keys_;

  ready_layers ready_;
  std::vector<std::size_t> missing_;  ///< bottom first
  const staging* room_ = nullptr;
  blob_fetches* fetches_ = nullptr;  ///< of the missing layers, in their order; null where their blobs are at hand
  bool spare_processors_ = false;
  bool worth_another_try_ = false;
  std::atomic<std::size_t> taken_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex reporting_;
  std::mutex mutex_;  ///< of failure_
  absl::Status failure_;
};

}  // namespace mortise::image
