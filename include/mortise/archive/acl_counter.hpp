// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How long the access control lists are that stand before an entry of a tar. libarchive, which takes them in before
/// anybody can say that they are not wanted, compares each of their entries with all before it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mortise::archive {

/// Reads along from an entry's first header on, until one comes that is no special header.
class acl_counter {
 public:
  /// In all lists of an entry. File systems hold some hundreds, and layers none.
  static constexpr std::size_t most = 1024;

  void begin() {
    reading_ = true;
    count_ = 0;
    await(0, block);
  }
  void end() { reading_ = false; }

  /// The next bytes of the archive.
  /// Fails with: RESOURCE_EXHAUSTED for more than `most` entries.
  absl::Status take(std::span<const std::byte> bytes) {
    while (reading_ && !bytes.empty()) {
      const std::size_t some = std::min(bytes.size(), wanted_ - held_.size());
      held_.append(reinterpret_cast<const char*>(bytes.data()), some);
      bytes = bytes.subspan(some);
      if (held_.size() == wanted_) finish();
    }
    if (count_ <= most) return absl::OkStatus();
    return error(absl::StatusCode::kResourceExhausted,
                 concat("access control lists of more than the ", most, " entries allowed"));
  }

  /// The same where nobody looks at them: the padding of a special header.
  void pass(std::uint64_t bytes) {
    if (!reading_) return;
    if (kind_ == 0 || bytes > wanted_ - held_.size()) return end();
    held_.append(static_cast<std::size_t>(bytes), '\0');
    if (held_.size() == wanted_) finish();
  }

 private:
  static constexpr std::size_t block = 512;
  static constexpr std::uint64_t largest = 1 << 20;  ///< of a special header that libarchive takes

  void await(char kind, std::size_t bytes) {
    kind_ = kind;
    wanted_ = bytes;
    held_.clear();
  }

  void finish() {
    if (kind_ != 0) {
      const std::string_view body = std::string_view(held_).substr(0, size_);
      if (kind_ == 'A') count(body);
      if (kind_ == 'x' || kind_ == 'X') count_records(body);
      return await(0, block);
    }
    const char kind = held_[156];
    size_ = size_of(std::string_view(held_).substr(124, 12));
    if (std::string_view("AKLVXgx").find(kind) == std::string_view::npos || size_ > largest) return end();
    if (size_ == 0) return await(0, block);
    await(kind, (static_cast<std::size_t>(size_) + block - 1) / block * block);
  }

  /// Octal, or base 256 where the first bit is set.
  static std::uint64_t size_of(std::string_view field) {
    const bool is_binary = (field.front() & 0x80) != 0;
    std::uint64_t out = is_binary ? field.front() & 0x7f : 0;
    if (is_binary) field.remove_prefix(1);
    for (const char each : field) {
      if (out > largest) break;
      if (is_binary) {
        out = out << 8 | static_cast<unsigned char>(each);
      } else if (each >= '0' && each <= '7') {
        out = out << 3 | static_cast<unsigned>(each - '0');
      } else if (each != ' ' && each != '\t') {
        break;
      }
    }
    return out;
  }

  /// Of pax(1): "LENGTH KEY=VALUE\n", where the length is that of all.
  void count_records(std::string_view body) {
    while (!body.empty()) {
      std::size_t length = 0;
      std::size_t at = 0;
      for (; at < body.size() && length <= largest && body[at] >= '0' && body[at] <= '9'; ++at)
        length = length * 10 + static_cast<std::size_t>(body[at] - '0');
      if (length <= at) return;  // libarchive reads no further either
      const std::string_view record = body.substr(0, length - 1).substr(at);
      if (record.starts_with(" SCHILY.acl.")) count(record);
      body.remove_prefix(std::min(length, body.size()));
    }
  }

  void count(std::string_view list) {
    count_ += static_cast<std::size_t>(
        std::count_if(list.begin(), list.end(), [](char each) { return each == ',' || each == '\n'; }));
  }

  bool reading_ = false;
  char kind_ = 0;  ///< of the special header whose body is awaited; 0 for a header
  std::string held_;
  std::size_t wanted_ = 0;
  std::uint64_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace mortise::archive
