// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A directory's entries as blocks of an EROFS image: Documentation/filesystems/erofs.rst, "Directories".

#include <cstddef>
#include <cstdint>
#include <mortise/erofs/format.hpp>
#include <mortise/erofs/tree.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::erofs {

/// Calls `each(text, inode)` for all entries in the order of their bytes, "." and ".." among them.
template <class Each>
void for_each_entry(const tree& all, std::uint32_t which, Each each) {
  const directory& of = all.names_of(which);
  const std::pair<std::string_view, std::uint32_t> own[] = {{".", which}, {"..", of.parent}};
  std::size_t next = 0;
  for (const auto& [text, found] : of.names) {
    while (next < 2 && own[next].first < text) each(own[next].first, own[next].second), ++next;
    each(std::string_view(text), found.inode);
  }
  while (next < 2) each(own[next].first, own[next].second), ++next;
}

/// How full a block of entries is.
class dirent_room {
 public:
  explicit dirent_room(std::size_t block) : block_(block) {}

  /// Takes room for an entry, in the next block where this one has too little: then true.
  bool take(std::string_view text) {
    const std::size_t size = dirent_size + text.size();
    const bool next = used_ + size > block_;
    used_ = next ? size : used_ + size;
    return next;
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::size_t block_;
  std::size_t used_ = 0;
};

/// Fills blocks one after the other; a block's entries come first, then their names. `done(block)` gets each, without
/// the padding that all but the last have.
template <class Done>
class dirent_blocks {
 public:
  dirent_blocks(std::size_t block, Done done) : room_(block), done_(std::move(done)) {}

  void add(std::string_view text, std::uint64_t number, std::uint8_t type) {
    if (room_.take(text)) flush();
    entries_.push_back({text, number, type});
  }
  void flush() {
    if (!entries_.empty()) done_(bytes());
    entries_.clear();
  }

 private:
  struct entry {
    std::string_view text;
    std::uint64_t number;
    std::uint8_t type;
  };

  [[nodiscard]] std::string bytes() const {
    std::string out(entries_.size() * dirent_size, '\0');
    for (std::size_t at = 0; at < entries_.size(); ++at) {
      const std::span<char> head = std::span(out).subspan(at * dirent_size, dirent_size);
      put(head, 0, entries_[at].number);
      put(head, 8, static_cast<std::uint16_t>(out.size()));
      put(head, 10, entries_[at].type);
      out.append(entries_[at].text);
    }
    return out;
  }

  dirent_room room_;
  Done done_;
  std::vector<entry> entries_;
};

/// How many bytes a directory has.
inline std::uint64_t directory_size(const tree& all, std::uint32_t which, std::size_t block) {
  dirent_room room(block);
  std::uint64_t full = 0;
  for_each_entry(all, which, [&](std::string_view text, std::uint32_t) { full += room.take(text) ? block : 0; });
  return full + room.used();
}

}  // namespace mortise::erofs
