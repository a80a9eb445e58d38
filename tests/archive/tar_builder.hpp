// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A writer of tar archives for tests, that writes whatever it is told: names that lead out, devices that must not
/// be, claims that are not true. Sound archives are made with it too.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// The format of a header block.
enum class tar_magic { ustar, gnu, v7 };

/// One member; what is not said has a harmless value.
struct tar_member {
  std::string name = {};
  std::string data = {};
  std::string link = {};
  char type = 0;  ///< 0: by `link` (a symbolic link), a trailing slash (a directory), or a regular file
  unsigned mode = 0644;
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t mtime = 1'000'000'000;
  unsigned major = 0;
  unsigned minor = 0;
  std::optional<std::uint64_t> size = {};                        ///< claimed; otherwise that of the data
  std::vector<std::pair<std::string, std::string>> pax = {};     ///< records for this member
  std::vector<std::pair<std::string, std::string>> xattrs = {};  ///< as SCHILY.xattr records
  tar_magic magic = tar_magic::ustar;
};

class tar_builder {
 public:
  /// Names and link targets that do not fit into a header become pax records.
  tar_builder& add(tar_member member) {
    for (auto& [name, value] : member.xattrs) member.pax.emplace_back("SCHILY.xattr." + name, value);
    if (member.name.size() > 100) member.pax.emplace_back("path", member.name);
    if (member.link.size() > 100) member.pax.emplace_back("linkpath", member.link);
    if (!member.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : member.pax) records += record(key, value);
      header({.name = "pax", .type = 'x', .size = records.size()});
      body(records);
    }
    header(member);
    body(member.data);
    return *this;
  }

  tar_builder& file(std::string name, std::string data = {}) {
    return add({.name = std::move(name), .data = std::move(data)});
  }
  tar_builder& directory(std::string name, unsigned mode = 0755) {
    return add({.name = std::move(name), .type = '5', .mode = mode});
  }
  tar_builder& symlink(std::string name, std::string target) {
    return add({.name = std::move(name), .link = std::move(target), .type = '2', .mode = 0777});
  }
  tar_builder& hard_link(std::string name, std::string target) {
    return add({.name = std::move(name), .link = std::move(target), .type = '1'});
  }

  /// A header block alone.
  tar_builder& header(const tar_member& member) {
    char block[512] = {};
    put_text(block, 100, member.name);
    put_number(block + 100, 8, member.mode);
    put_number(block + 108, 8, member.uid);
    put_number(block + 116, 8, member.gid);
    put_number(block + 124, 12, static_cast<std::int64_t>(member.size.value_or(member.data.size())));
    put_number(block + 136, 12, member.mtime);
    block[156] = type_of(member);
    put_text(block + 157, 100, member.link);
    if (member.magic == tar_magic::ustar)
      std::memcpy(block + 257,
                  "ustar\0"
                  "00",
                  8);
    if (member.magic == tar_magic::gnu) std::memcpy(block + 257, "ustar  \0", 8);
    if (member.magic != tar_magic::v7) {
      put_number(block + 329, 8, member.major);
      put_number(block + 337, 8, member.minor);
    }
    checksum(block);
    text_.append(block, sizeof block);
    return *this;
  }

  /// Data behind a header, filled up to a whole block.
  tar_builder& body(std::string_view data) {
    text_.append(data);
    text_.append((512 - data.size() % 512) % 512, '\0');
    return *this;
  }

  /// A GNU header for a long name ('L') or link target ('K').
  tar_builder& gnu_long(char type, const std::string& name) {
    header({.name = "././@LongLink", .type = type, .size = name.size() + 1, .magic = tar_magic::gnu});
    return body(name + '\0');
  }

  /// The archive so far, and with the two blocks of zeros that end it.
  [[nodiscard]] const std::string& open_end() const { return text_; }
  [[nodiscard]] std::string text() const { return text_ + std::string(1024, '\0'); }

  /// One pax record, whose length counts its own digits.
  static std::string record(const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
    return std::to_string(length) + ' ' + key + '=' + value + '\n';
  }

  /// Makes the checksum of a header block right.
  static void checksum(char* block) {
    std::memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (int at = 0; at < 512; ++at) sum += static_cast<unsigned char>(block[at]);
    std::snprintf(block + 148, 8, "%06o", sum);
  }

 private:
  static void put_text(char* field, std::size_t size, const std::string& text) {
    std::memcpy(field, text.data(), text.size() < size ? text.size() : size);
  }

  /// Octal where it fits, otherwise base 256 as GNU tar writes it.
  static void put_number(char* field, std::size_t size, std::int64_t value) {
    if (value >= 0 && (value >> (3 * (size - 1))) == 0) {
      for (std::size_t at = size - 1; at-- > 0; value >>= 3) field[at] = static_cast<char>('0' + (value & 7));
      return;
    }
    for (std::size_t at = size; at-- > 0; value >>= 8) field[at] = static_cast<char>(value & 0xff);
    field[0] = static_cast<char>(field[0] | '\x80');
  }

  static char type_of(const tar_member& member) {
    if (member.type != 0) return member.type;
    if (!member.link.empty()) return '2';
    return !member.name.empty() && member.name.back() == '/' ? '5' : '0';
  }

  std::string text_;
};

}  // namespace support
