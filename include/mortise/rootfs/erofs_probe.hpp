// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether the kernel mounts packed images, by the smallest of them: an empty directory in blocks of 512 bytes.

#include <fcntl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>

namespace mortise::rootfs {

namespace detail {

/// A superblock at 1024, the root's inode and its two entries at 1536: fs/erofs/erofs_fs.h.
/// A whole page: Linux 7.3 reads no part of one from a file.
constexpr std::array<char, 4096> smallest_erofs() {
  std::array<char, 4096> out{};
  const auto put = [&out](std::size_t at, std::uint64_t value, unsigned bytes) {
    for (unsigned each = 0; each < bytes; ++each) out[at + each] = static_cast<char>(value >> (8 * each) & 0xff);
  };
  constexpr std::size_t super = 1024;
  constexpr std::size_t root = 1536;
  constexpr std::size_t entries = root + 64;
  constexpr unsigned entry_size = 12;
  put(super, 0xe0f5e1e2, 4);             // magic
  put(super + 12, 9, 1);                 // block size, as a power of two
  put(super + 14, root / 32, 2);         // root nid
  put(super + 16, 1, 8);                 // inodes
  put(super + 36, 4, 4);                 // blocks
  put(root, 1 | 2 << 1, 2);              // an extended inode, its data behind it
  put(root + 4, 0040755, 2);             // mode
  put(root + 8, 2 * entry_size + 3, 8);  // size: two entries, "." and ".."
  put(root + 44, 2, 4);                  // links
  for (const unsigned each : {0U, 1U}) {
    put(entries + each * entry_size, root / 32, 8);
    put(entries + each * entry_size + 8, 2 * entry_size + each, 2);  // where the name begins
    put(entries + each * entry_size + 10, 2, 1);                     // a directory
  }
  for (unsigned each = 0; each < 3; ++each) out[entries + std::size_t{2} * entry_size + each] = '.';
  return out;
}

inline absl::Status mount_smallest_erofs(const std::string& place, erofs_way way) {
  static constexpr auto image = smallest_erofs();
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd opened, sys::open(place, O_RDONLY | O_DIRECTORY));
  MORTISE_RETURN_IF_ERROR(sys::replace_file_at(opened.get(), "index", {image.data(), image.size()}));
  return mount_erofs(opened.get(), way).status();
}

}  // namespace detail

/// Mounts an image that lies in `directory` for as long as that takes.
/// Fails as mount_erofs does, and as writing a file does. Leaves nothing behind.
inline absl::Status probe_erofs(const std::string& directory, erofs_way way) {
  return in_new_directory(directory,
                          [way](const std::string& place) { return detail::mount_smallest_erofs(place, way); });
}

}  // namespace mortise::rootfs
