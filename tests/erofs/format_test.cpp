// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/format.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace mortise::erofs;

TEST_CASE("numbers are put down little end first") {
  std::array<char, 8> bytes{};
  put(bytes, 1, std::uint32_t{0x04030201});
  CHECK(std::string(bytes.data(), bytes.size()) == std::string("\0\1\2\3\4\0\0\0", 8));
  put(bytes, 0, std::int64_t{-2});
  CHECK(std::string(bytes.data(), bytes.size()) == "\xfe\xff\xff\xff\xff\xff\xff\xff");
}

TEST_CASE("the superblock has its fields where the kernel looks for them") {
  std::array<char, super_size> bytes{};
  put_super(bytes, {.block_bits = 9, .inodes = 3, .blocks = 7, .root = 48, .devices = 2});
  CHECK(std::string(bytes.data(), 4) == "\xe2\xe1\xf5\xe0");
  CHECK(bytes[12] == 9);
  CHECK(bytes[14] == 48);
  CHECK(bytes[16] == 3);
  CHECK(bytes[36] == 7);
  CHECK(bytes[80] == 8);
  CHECK(bytes[86] == 2);
  CHECK(bytes[88] == 9);
  put_super(bytes, {.devices = 0});
  CHECK(bytes[80] == 0);
}

TEST_CASE("device numbers have the kernel's form, as wide as it allows") {
  CHECK(encode_device(1, 3) == 0x103);
  CHECK(encode_device(0xfff, 0xfffff) == 0xffffffff);
}

TEST_CASE("an extended attribute's name has a number, or no form") {
  CHECK(split_xattr("user.a")->first == 1);
  CHECK(split_xattr("user.a")->second == "a");
  CHECK(split_xattr("trusted.x.y")->first == 4);
  CHECK(split_xattr("security.capability")->first == 6);
  CHECK(split_xattr("system.posix_acl_access")->first == 2);
  CHECK(split_xattr("system.posix_acl_default")->first == 3);
  CHECK(split_xattr("system.posix_acl_default")->second.empty());
  for (const char* const each : {"", "user", "user.", "system.other", "other.x"}) CHECK(!split_xattr(each));
  CHECK(xattr_count_of(0) == 0);
  CHECK(xattr_count_of(12) == 1);
  CHECK(xattr_count_of(20) == 3);
}

TEST_CASE("the checksum is CRC-32C, without the last inversion") {
  const std::string digits = "123456789";
  CHECK((checksum(digits) ^ 0xffffffffU) == 0xe3069283U);
  CHECK(checksum({}) == 0xffffffffU);
}

TEST_CASE("types of directory entries") {
  CHECK(type_of(S_IFREG | 0644) == 1);
  CHECK(type_of(S_IFDIR) == 2);
  CHECK(type_of(S_IFCHR) == 3);
  CHECK(type_of(S_IFBLK) == 4);
  CHECK(type_of(S_IFIFO) == 5);
  CHECK(type_of(S_IFSOCK) == 6);
  CHECK(type_of(S_IFLNK) == 7);
  CHECK(type_of(0) == 0);
}
