// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What unpacking a layer is asked to do, and what came of it.

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// A directory of the tar that is a layer by itself, in a format that knows no whiteouts: an Appc image's `rootfs`.
struct subtree {
  /// Its name at the top of the tar. Entries beside it are skipped, and so are hard links' targets there refused.
  std::string directory;
  /// Whether a path below it ("usr/bin") is unpacked; empty takes all. What takes a path must take those above it.
  std::function<bool(std::string_view path)> shows = {};

  /// An entry's path as it is seen from the directory; nothing where it is beside it, or is not shown.
  [[nodiscard]] std::optional<entry_path> find(const entry_path& path) const {
    auto below = path.below(directory);
    return below && is_shown(*below) ? std::move(below) : std::nullopt;
  }
  /// The same of what a hard link leads to, which must be there.
  [[nodiscard]] absl::StatusOr<entry_path> target(const entry_path& path) const {
    auto below = path.below(directory);
    if (!below) return error(absl::StatusCode::kInvalidArgument, concat("it leads out of '", directory, '\''));
    if (!is_shown(*below)) return error(absl::StatusCode::kInvalidArgument, "it is not among the paths that are shown");
    return *std::move(below);
  }

 private:
  [[nodiscard]] bool is_shown(const entry_path& path) const { return path.is_root() || !shows || shows(path.text()); }
};

/// What to unpack into, over what, and how much of it.
struct apply_request {
  /// An empty directory. Nobody else may write to it meanwhile.
  int staging = -1;
  /// Gives the layers below, unpacked in the same form, top-most first; empty for the bottom layer. It is called at
  /// most once, from within apply(), when something first depends on them; it may wait for them to be complete.
  std::function<absl::StatusOr<std::span<const int>>()> lower = {};
  archive::limits limits = {};
  /// Unpacks only this of the tar, as if it were the whole; names like whiteouts are ordinary there, and a symbolic
  /// link of the layers below is replaced by a directory that something is put into, never followed.
  std::optional<subtree> only = {};
  /// Hears how many entries and bytes have been unpacked, every now and then.
  std::function<void(std::uint64_t entries, std::uint64_t bytes)> progress = {};
  /// Once true, apply() soon fails with CANCELLED.
  const std::atomic<bool>* cancelled = nullptr;
  /// When this is over, apply() fails with DEADLINE_EXCEEDED.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

/// What came of it.
struct applied {
  std::uint64_t entries = 0;  ///< of the tar
  std::uint64_t bytes = 0;    ///< written into files
  /// The directory is right only above the same lower layers: a parent that the tar only implies took its
  /// attributes from them (or took the default, because they had none), or a hard link's target was copied up.
  /// Such a layer is kept under its chain ID, any other under its diff ID.
  bool depends_on_lower = false;
  /// The tar says of its root directory that lower layers are hidden. overlayfs does not look at that attribute on
  /// a layer's root: whoever stacks layers must stop here.
  bool opaque_root = false;
  /// The tar has an entry for its root directory; otherwise that has the mode 0755 and the caller's ownership.
  bool root_entry = false;
  std::uint64_t skipped_devices = 0;  ///< left out because the form has none
  std::uint64_t skipped_xattrs = 0;   ///< left out because the form, the file system or the inode cannot have them
};

}  // namespace mortise::archive
