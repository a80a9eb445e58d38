// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The parts of an EROFS image that an index has, as bytes: Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h.

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace mortise::erofs {

inline constexpr std::uint32_t magic = 0xe0f5e1e2;
inline constexpr std::size_t super_offset = 1024;
inline constexpr std::size_t super_size = 128;
inline constexpr std::size_t device_slot_size = 128;
inline constexpr std::size_t inode_size = 64;   ///< the extended form, which has times and 32-bit owners
inline constexpr std::size_t inode_slot = 32;   ///< inodes are numbered in this unit from the image's beginning
inline constexpr std::size_t dirent_size = 12;  ///< without its name
inline constexpr std::size_t xattr_header_size = 12;

/// Where a file's data is.
enum class layout : std::uint8_t {
  plain = 0,    ///< in blocks of its own
  in_line = 2,  ///< behind the inode, in the same block
};

/// Puts numbers into an image's bytes, which are little-endian.
template <class Integer>
constexpr void put(std::span<char> into, std::size_t at, Integer value) {
  for (std::size_t each = 0; each < sizeof(Integer); ++each)
    into[at + each] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * each) & 0xff);
}

struct super {
  unsigned block_bits = 9;
  std::uint64_t inodes = 0;
  std::uint32_t blocks = 0;
  std::uint16_t root = 0;  ///< the root's number
  std::uint16_t devices = 0;
};

constexpr void put_super(std::span<char> at, const super& what) {
  constexpr std::uint32_t has_checksum = 1;
  constexpr std::uint32_t has_times = 2;
  constexpr std::uint32_t has_devices = 8;
  put(at, 0, magic);
  put(at, 8, has_checksum | has_times);
  put(at, 12, static_cast<std::uint8_t>(what.block_bits));
  put(at, 14, what.root);
  put(at, 16, what.inodes);
  put(at, 36, what.blocks);
  put(at, 80, what.devices != 0 ? has_devices : 0U);
  put(at, 86, what.devices);
  put(at, 88, static_cast<std::uint16_t>((super_offset + super_size) / device_slot_size));
}

/// `address` is where its blocks begin, counted on from those of the devices before.
constexpr void put_device(std::span<char> at, std::string_view tag, std::uint32_t blocks, std::uint32_t address) {
  for (std::size_t each = 0; each < tag.size() && each < 64; ++each) at[each] = tag[each];
  put(at, 64, blocks);
  put(at, 68, address);
}

struct inode_fields {
  layout how = layout::plain;
  std::uint16_t xattr_count = 0;  ///< xattr_count_of
  std::uint16_t mode = 0;
  std::uint64_t size = 0;
  std::uint32_t content = 0;  ///< the first block of its data, or a device's number
  std::uint32_t number = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  std::uint32_t links = 0;
};

constexpr void put_inode(std::span<char> at, const inode_fields& what) {
  put(at, 0, static_cast<std::uint16_t>(1U | static_cast<unsigned>(what.how) << 1));
  put(at, 2, what.xattr_count);
  put(at, 4, what.mode);
  put(at, 8, what.size);
  put(at, 16, what.content);
  put(at, 20, what.number);
  put(at, 24, what.uid);
  put(at, 28, what.gid);
  put(at, 32, what.seconds);
  put(at, 40, what.nanoseconds);
  put(at, 44, what.links);
}

/// As an inode spells the size of its extended attributes, header included.
constexpr std::uint16_t xattr_count_of(std::size_t bytes) {
  return bytes == 0 ? 0 : static_cast<std::uint16_t>((bytes - xattr_header_size) / 4 + 1);
}

/// As a directory entry spells what it leads to.
constexpr std::uint8_t type_of(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 1;
    case S_IFDIR:
      return 2;
    case S_IFCHR:
      return 3;
    case S_IFBLK:
      return 4;
    case S_IFIFO:
      return 5;
    case S_IFSOCK:
      return 6;
    case S_IFLNK:
      return 7;
    default:
      return 0;
  }
}

/// The kernel's own form of a device number in 32 bits.
constexpr std::uint32_t encode_device(std::uint32_t major_number, std::uint32_t minor_number) {
  return (minor_number & 0xff) | major_number << 8 | (minor_number & ~0xffU) << 12;
}

/// The number and the rest of an extended attribute's name; nothing where EROFS has no form for it.
constexpr std::optional<std::pair<std::uint8_t, std::string_view>> split_xattr(std::string_view name) {
  if (name == "system.posix_acl_access") return std::pair{std::uint8_t{2}, std::string_view{}};
  if (name == "system.posix_acl_default") return std::pair{std::uint8_t{3}, std::string_view{}};
  constexpr std::pair<std::string_view, std::uint8_t> prefixes[] = {{"user.", 1}, {"trusted.", 4}, {"security.", 6}};
  for (const auto& [prefix, number] : prefixes)
    if (name.starts_with(prefix) && name.size() > prefix.size()) return std::pair{number, name.substr(prefix.size())};
  return std::nullopt;
}

/// CRC-32C as the superblock has it: begun with all ones, and not inverted at the end.
constexpr std::uint32_t checksum(std::span<const char> bytes) {
  std::uint32_t sum = 0xffffffff;
  for (const char each : bytes) {
    sum ^= static_cast<unsigned char>(each);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (0x82f63b78 & (0U - (sum & 1)));
  }
  return sum;
}

}  // namespace mortise::erofs
