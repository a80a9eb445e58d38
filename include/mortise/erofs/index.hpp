// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An EROFS image of layers that stay what they are: it has the names and attributes, the layers' tars have the data.
/// Needs: libarchive.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/apply_request.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <mortise/erofs/merge.hpp>
#include <mortise/erofs/tar_file.hpp>
#include <mortise/erofs/tree.hpp>
#include <mortise/erofs/writer.hpp>
#include <optional>
#include <span>
#include <vector>

namespace mortise::erofs {

/// Of what `write_index` writes: another number where another library would write other bytes.
inline constexpr unsigned index_version = 2;

/// An uncompressed layer tar, by a descriptor that stays the caller's.
struct layer_tar {
  int tar = -1;
  std::optional<archive::subtree> only = {};  ///< what of it is the layer, where not all is
};

struct index_options {
  archive::limits limits = {};                   ///< those on entries and names are for all layers together
  const std::atomic<bool>* cancelled = nullptr;  ///< ends the work with CANCELLED soon after it turns true
  unsigned block_bits = 9;                       ///< 12 copies all data into the index, in blocks of 4096 bytes
};

/// What came of it.
struct indexed {
  std::uint64_t entries = 0;          ///< of all tars
  std::uint64_t inodes = 0;           ///< of the merged tree
  std::uint64_t metadata_bytes = 0;   ///< of the index
  std::uint64_t flattened_bytes = 0;  ///< of the index: data of sparse files, which no tar has in one run
};

/// Merges the layers, bottom first, and writes their index to `to`, an empty file open for reading and writing.
/// Mounted with the tars as devices, in the same order, it shows what the layers show when they are unpacked and
/// stacked (archive::apply, overlayfs), with these differences: a hard link to a file of a lower layer has one inode
/// with it, a directory that no tar names has the time of the entry that implied it, and there are no times of access.
/// The same layers give the same bytes. Not synced.
/// Fails with: INVALID_ARGUMENT for what a layer must not hold, RESOURCE_EXHAUSTED beyond the limits (2 TiB for all
/// tars together) or on a full disk, CANCELLED. The message names the entry. Leaves behind on failure: what was
/// written.
inline absl::StatusOr<indexed> write_index(std::span<const layer_tar> layers, int to,
                                           const index_options& options = {}) {
  tree all;
  indexed out;
  std::vector<tar_device> devices;
  for (const layer_tar& each : layers) {
    MORTISE_ASSIGN_OR_RETURN(const std::uint64_t size, tar_file::size_of(each.tar));
    const auto number = static_cast<std::uint32_t>(devices.size());
    devices.push_back({each.tar, size});
    tar_file bytes(each.tar, size);
    const auto count = merger(all, number, options.limits, each.only, options.cancelled).run(bytes, size);
    if (!count.ok()) return annotate(count.status(), concat("layer ", number + 1, " of ", layers.size()));
    out.entries += *count;
  }
  MORTISE_ASSIGN_OR_RETURN(const written index, writer(all, devices, options.block_bits, options.cancelled).write(to));
  out.inodes = index.inodes;
  out.metadata_bytes = index.metadata_bytes;
  out.flattened_bytes = index.flattened_bytes;
  return out;
}

}  // namespace mortise::erofs
