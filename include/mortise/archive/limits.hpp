// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How much of a layer is believed: caps against bombs and floods, each of them generous to every honest image.

#include <climits>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <string_view>

namespace mortise::archive {

/// Beyond a cap a layer fails with RESOURCE_EXHAUSTED and a message that names it.
struct limits {
  /// Of the uncompressed tar stream, and of the sum of its files' logical sizes (holes count as bytes).
  bytes unpacked = 64_GiB;
  /// Uncompressed bytes for each compressed one, once `ratio_from` have come out; gzip's own limit is 1032.
  std::uint32_t ratio = 500;
  bytes ratio_from = 1_GiB;
  /// Of a zstd frame's window, as a power of two: what the standard asks decoders to support is 8 MiB, what
  /// `zstd --long` makes is 128 MiB.
  int zstd_window_log = 27;
  /// What an xz stream may ask for: `xz -9` makes streams that need 65 MiB.
  bytes xz_memory = 128_MiB;

  /// Inodes and whiteouts, parents that the tar only implies included.
  std::uint64_t entries = 2'000'000;
  /// Directories above an entry; each holds a descriptor open while entries below it are unpacked.
  std::size_t depth = 256;
  std::size_t path = PATH_MAX;
  std::size_t component = NAME_MAX;
  std::size_t link_target = PATH_MAX - 1;
  /// Names and values of one entry's extended attributes.
  bytes xattrs = 1_MiB;
  /// Everything that stands before one entry's data: pax records, long names, sparse maps.
  bytes header = 4_MiB;

  /// Left free on the file system that is unpacked to; 0 leaves it to the file system to say when it is full.
  bytes free_space = {};
};

/// What is said beyond a cap.
inline absl::Status beyond_limits(std::string_view cause) {
  return error(absl::StatusCode::kResourceExhausted, concat(cause, " (raise archive::limits if it is trusted)"));
}

}  // namespace mortise::archive
