// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Garbage collection of a store, beside running pulls and launches. Needs: RapidJSON, libcrypto, libarchive, libisal
/// or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/inventory.hpp>
#include <mortise/image/lease.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace mortise::image {

/// Which images may go. Whatever is said here, what no remembered image needs goes, and what is pinned or in use stays.
struct collect_options {
  std::optional<std::uint64_t> most_bytes{};         ///< least recently used images go until no more are held
  std::optional<std::uint64_t> least_free{};         ///< ... or until so many bytes of the file system are free
  std::optional<std::chrono::seconds> unused_for{};  ///< images that were not used for longer go
  bool drop_blobs = false;                           ///< fetched layers whose unpacked form is on the disk go first
  std::chrono::seconds partial_age = std::chrono::hours(24);  ///< unfinished fetches that nobody went on with go
  bool dry_run = false;                                       ///< only says what would go
};

/// One thing that went, or would go.
struct collected {
  enum class what : std::uint8_t { image, blob, layer, partial };
  what kind = what::blob;
  std::string name;         ///< an image's location, else its name in the store
  std::uint64_t bytes = 0;  ///< an image's own are those of the parts that go with it, which are listed too
  std::string why;
};

constexpr std::string_view name_of(collected::what kind) {
  constexpr std::string_view names[] = {"image", "blob", "layer", "partial blob"};
  return names[static_cast<std::size_t>(kind)];
}

struct collection {
  std::vector<collected> gone;
  std::uint64_t freed = 0;            ///< bytes
  std::uint64_t kept = 0;             ///< bytes that are still held
  std::uint64_t short_by = 0;         ///< bytes that a target is missed by, because the rest is pinned or in use
  std::vector<std::string> problems;  ///< what could not be read or removed; all else was done
};

namespace detail {

/// One run. Nothing is locked while it thinks and removes, only while it moves things away.
class collector {
 public:
  collector(const store_directory& store, const collect_options& options)
      : store_(store), options_(options), finder_(store) {}

  absl::StatusOr<collection> run() {
    MORTISE_ASSIGN_OR_RETURN(images_, list_images(store_));
    MORTISE_ASSIGN_OR_RETURN(parts_, list_parts(store_));
    MORTISE_RETURN_IF_ERROR(count_needs());
    choose_images();
    if (options_.dry_run) {
      report_garbage();
    } else {
      MORTISE_RETURN_IF_ERROR(forget_images());
      MORTISE_RETURN_IF_ERROR(sweep());
    }
    MORTISE_RETURN_IF_ERROR(collect_partials());
    finish();
    return std::move(out_);
  }

 private:
  struct tally {
    const stored_part* part = nullptr;
    std::uint64_t bytes = 0;  ///< in all formats
    std::size_t needed = 0;   ///< by so many images that stay
    bool leased = false;
  };

  void problem(const absl::Status& status) { out_.problems.emplace_back(message(status)); }

  /// What is needed how often, and what is leased, as things stand now.
  absl::Status count_needs() {
    for (const stored_part& each : parts_) {
      tally& at = needs_[each.key];
      at.part = &each;
      at.bytes += each.bytes;
      held_ += each.bytes;
    }
    for (std::size_t at = 0; at < images_.size(); ++at) {
      const auto keys = finder_.keys_of(images_[at].record.manifest);
      if (!keys.ok()) {
        problem(annotate(keys.status(), concat("read image '", printable(images_[at].record.location), '\'')));
        continue;
      }
      for (const std::string& key : **keys) ++needs_[key].needed;
    }
    MORTISE_ASSIGN_OR_RETURN(const auto leases, read_leases(store_));
    for (const leased_image& each : leases) {
      leased_.insert(each.manifest.digest.text());
      const auto keys = finder_.keys_of(each.manifest);
      if (keys.ok())
        for (const std::string& key : **keys) needs_[key].leased = true;
    }
    return absl::OkStatus();
  }

  // --- which images go ---------------------------------------------------------------------------------------------

  [[nodiscard]] bool may_go(const remembered_image& each) const {
    return !each.pinned && !leased_.contains(each.record.manifest.digest.text());
  }

  /// A clock that was set back makes an image seem used in the future: that is now.
  static std::chrono::seconds unused(const remembered_image& each) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    return std::max(now - each.used, std::chrono::seconds(0));
  }

  void choose_images() {
    for (const auto& [key, each] : needs_)
      if (each.needed == 0 && !each.leased) freed_ += each.bytes;
    if (options_.drop_blobs) choose_blobs();
    std::vector<const remembered_image*> order;
    for (const remembered_image& each : images_)
      if (may_go(each)) order.push_back(&each);
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return std::tie(a->used, a->name) < std::tie(b->used, b->name); });
    for (const remembered_image* const each : order) {
      const bool old = options_.unused_for && unused(*each) > *options_.unused_for;
      const std::uint64_t missing = old ? 0 : missed();
      if (!old && missing == 0) continue;
      let_go(*each, old ? concat("not used for ", unused(*each).count(), " s") : concat(missing, " bytes too many"));
    }
    out_.short_by = missed();
  }

  void let_go(const remembered_image& image, std::string why) {
    const auto keys = finder_.keys_of(image.record.manifest);
    std::uint64_t own = 0;
    if (keys.ok()) {
      for (const std::string& key : **keys) {
        tally& at = needs_[key];
        if (--at.needed == 0 && !at.leased && !dropped_.contains(key)) own += at.bytes;
      }
    }
    freed_ += own;
    leaving_.push_back(&image);
    out_.gone.push_back({collected::what::image, image.record.location, own, std::move(why)});
  }

  /// Blobs of layers that lie unpacked on the disk in every format that there is of them.
  void choose_blobs() {
    std::set<std::string> synced;
    std::set<std::string> unsynced;
    for (const stored_part& each : parts_)
      if (!each.is_blob && each.diff_id) (each.synced && !each.lost ? synced : unsynced).insert(each.diff_id->text());
    for (const remembered_image& each : images_) {
      stored_blobs blobs(store_, each.record.manifest);
      const auto image = read_image(blobs);
      if (!image.ok()) continue;
      for (std::size_t at = 0; at < image->manifest.parsed.layers.size(); ++at) {
        const std::string& diff_id = image->config.parsed.diff_ids[at].text();
        const std::string key = store_directory::blob_name(image->manifest.parsed.layers[at].digest);
        const auto found = needs_.find(key);
        if (found == needs_.end() || found->second.part == nullptr || found->second.leased) continue;
        if (!synced.contains(diff_id) || unsynced.contains(diff_id) || !dropped_.insert(key).second) continue;
        freed_ += found->second.bytes;
      }
    }
  }

  /// By how much the targets are missed if what has been chosen goes.
  [[nodiscard]] std::uint64_t missed() const {
    const std::uint64_t left = held_ - std::min(held_, freed_);
    std::uint64_t out = options_.most_bytes && left > *options_.most_bytes ? left - *options_.most_bytes : 0;
    struct statvfs about{};
    if (options_.least_free && ::fstatvfs(store_.fd(), &about) == 0) {
      const std::uint64_t free = std::uint64_t{about.f_bavail} * about.f_frsize + freed_;
      if (free < *options_.least_free) out = std::max(out, *options_.least_free - free);
    }
    return out;
  }

  // --- moving away -------------------------------------------------------------------------------------------------

  /// Images that were used or leased meanwhile stay, and so does what they need.
  absl::Status forget_images() {
    if (leaving_.empty()) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const gate shut, gate::shut(store_));
    MORTISE_ASSIGN_OR_RETURN(const auto leases, read_leases(store_, &shut));
    for (const leased_image& each : leases) leased_.insert(each.manifest.digest.text());
    for (const remembered_image* const each : leaving_) {
      const auto now = read_image_record(store_, each->name);
      const bool same = now && now->used == each->used && now->record.text() == each->record.text();
      if (same && may_go(*now) && ::unlinkat(store_.fd(), each->name.c_str(), 0) == 0) continue;
      std::erase_if(out_.gone, [&](const collected& gone) {
        return gone.kind == collected::what::image && gone.name == each->record.location;
      });
    }
    return absl::OkStatus();
  }

  /// What may not go as things stand behind the shut gate.
  struct protection {
    std::set<std::string> leased;
    std::set<std::string> needed;      ///< by images that are remembered
    std::set<std::string> in_use;      ///< digests of the manifests whose parts are in `leased`
    std::set<std::string> remembered;  ///< ... in `needed`

    /// A lost part is no use to an image; who pulls that image anew may have made a sound one of it just now.
    [[nodiscard]] bool covers(const stored_part& part) const {
      return leased.contains(part.key) || (needed.contains(part.key) && !part.lost);
    }
  };

  /// Adds to what was spared before: what an image needed a batch ago may stay until the next collection, and images of
  /// thousands of layers are not gone through again for each batch.
  /// Leases come first: a pull that ends meanwhile has remembered its image before it gives up its lease.
  /// Fails where a leased image cannot be read: then nothing can be told to be garbage.
  absl::Status protect(const gate& shut) {
    MORTISE_ASSIGN_OR_RETURN(const auto leases, read_leases(store_, &shut));
    for (const leased_image& each : leases) {
      for (const model::digest* const of : {&each.manifest.digest, &each.config})
        spared_.leased.insert(store_directory::blob_name(*of));
      const auto found = finder_.keys_of(each.manifest);
      if (!found.ok())
        return annotate(found.status(), concat("tell what image ", each.manifest.digest.text(),
                                               " needs, which is in use (verify repairs it)"));
      if (spared_.in_use.insert(each.manifest.digest.text()).second)
        spared_.leased.insert((*found)->begin(), (*found)->end());
    }
    MORTISE_ASSIGN_OR_RETURN(const auto images, list_images(store_));
    for (const remembered_image& each : images) {
      const auto found = finder_.keys_of(each.record.manifest);
      if (!found.ok() || !spared_.remembered.insert(each.record.manifest.digest.text()).second) continue;
      for (const std::string& key : **found)
        if (!dropped_.contains(key)) spared_.needed.insert(key);
    }
    return absl::OkStatus();
  }

  /// As things stood when they were counted; who moves things away asks `protect` again.
  [[nodiscard]] bool is_garbage(const stored_part& part) const {
    const auto found = needs_.find(part.key);
    if (found == needs_.end()) return true;
    const bool needed = found->second.needed > 0 && !dropped_.contains(part.key);
    return !found->second.leased && (part.lost || !needed);
  }

  /// In batches, so that nobody who wants a lease waits for long.
  absl::Status sweep() {
    std::vector<const stored_part*> candidates;
    for (const stored_part& each : parts_)
      if (is_garbage(each)) candidates.push_back(&each);
    if (candidates.empty()) return sweep_leases();
    for (std::size_t at = 0; at < candidates.size(); at += batch) {
      const std::size_t end = std::min(candidates.size(), at + batch);
      MORTISE_ASSIGN_OR_RETURN(const staging trash, store_.stage());
      const absl::Status status = move_away(
          {candidates.begin() + static_cast<std::ptrdiff_t>(at), candidates.begin() + static_cast<std::ptrdiff_t>(end)},
          trash);
      if (!status.ok()) return problem(status), absl::OkStatus();
    }
    return absl::OkStatus();
  }

  /// Those that nobody holds any more, where nothing else makes us look at them behind the shut gate.
  absl::Status sweep_leases() {
    MORTISE_ASSIGN_OR_RETURN(const gate shut, gate::shut(store_));
    return read_leases(store_, &shut).status();
  }

  absl::Status move_away(const std::vector<const stored_part*>& candidates, const staging& trash) {
    MORTISE_ASSIGN_OR_RETURN(const gate shut, gate::shut(store_));
    MORTISE_RETURN_IF_ERROR(protect(shut));
    for (std::size_t at = 0; at < candidates.size(); ++at) {
      const stored_part& part = *candidates[at];
      if (spared_.covers(part)) continue;
      if (::renameat(store_.fd(), part.name.c_str(), trash.fd(), std::to_string(at).c_str()) == 0) {
        report(part);
      } else if (errno != ENOENT) {
        problem(errno_error(errno, concat("collect '", store_.path(), '/', part.name, '\'')));
      }
    }
    return absl::OkStatus();
  }

  // --- what became of it -------------------------------------------------------------------------------------------

  void report(const stored_part& part) {
    const bool dropped = dropped_.contains(part.key) && needs_[part.key].needed > 0;
    out_.gone.push_back({part.is_blob ? collected::what::blob : collected::what::layer, part.name, part.bytes,
                         part.lost ? "lost in a power cut"
                         : dropped ? "unpacked"
                                   : "no image needs it"});
    out_.freed += part.bytes;
  }

  void report_garbage() {
    for (const stored_part& each : parts_)
      if (is_garbage(each)) report(each);
  }

  /// A fetch that is going on holds the blob's lock, and writes.
  absl::Status collect_partials() {
    return sys::for_each_entry(store_.fd(), "partial", [&](std::string_view entry, unsigned char) {
      const std::string name = concat("partial/", entry);
      const std::size_t dash = entry.find('-');
      if (dash == std::string_view::npos) return absl::OkStatus();
      const std::string_view hex = entry.substr(dash + 1, entry.find('.') - dash - 1);
      MORTISE_ASSIGN_OR_RETURN(const auto lock, file_lock::try_acquire(store_.locks(), concat("blob-", hex)));
      struct stat about{};
      if (!lock || ::fstatat(store_.fd(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return absl::OkStatus();
      const auto age = std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(about.st_mtim.tv_sec);
      if (age < options_.partial_age) return absl::OkStatus();
      if (!options_.dry_run && ::unlinkat(store_.fd(), name.c_str(), 0) != 0)
        return problem(errno_error(errno, concat("collect '", store_.path(), '/', name, '\''))), absl::OkStatus();
      const auto bytes = static_cast<std::uint64_t>(about.st_size);
      out_.gone.push_back({collected::what::partial, name, bytes, "its fetch was given up"});
      out_.freed += bytes;
      return absl::OkStatus();
    });
  }

  void finish() { out_.kept = held_ - std::min(held_, out_.freed); }

  static constexpr std::size_t batch = 128;

  const store_directory& store_;
  const collect_options& options_;
  part_finder finder_;
  std::vector<remembered_image> images_;
  std::vector<stored_part> parts_;
  std::map<std::string, tally> needs_;  ///< by key
  std::set<std::string> leased_;        ///< digests of manifests
  protection spared_;                   ///< when it was last looked
  std::set<std::string> dropped_;       ///< keys of blobs that go although images need them
  std::vector<const remembered_image*> leaving_;
  std::uint64_t held_ = 0;
  std::uint64_t freed_ = 0;  ///< if all goes that has been chosen
  collection out_;
};

}  // namespace detail

/// Collects what no image needs, and images by the policy.
/// Effects: images are forgotten first, then parts are moved away a few at a time, then removed. May run beside
/// anything, other collectors too. Killed, it leaves what it moved in the staging directory, which the next `open`
/// removes; what it had not come to is garbage still.
/// Fails where the store cannot be listed or the gate cannot be had; single things that cannot be read or removed are
/// in `problems`.
inline absl::StatusOr<collection> collect(const store_directory& store, const collect_options& options = {}) {
  auto out = detail::collector(store, options).run();
  if (!out.ok()) return annotate(out.status(), concat("collect garbage of store '", store.path(), '\''));
  return out;
}

}  // namespace mortise::image
