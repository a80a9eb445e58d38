// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The merged tree of an image's layers, in memory: names, inodes, and where in the layers' tars their data lies.

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::erofs {

/// An inode, a layer or anything else of which there is none.
inline constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

/// A piece of a file that is not one run of bytes in its tar.
struct segment {
  std::uint64_t offset = 0;    ///< in the file
  std::uint64_t position = 0;  ///< in the tar
  std::uint64_t size = 0;
};

/// Where a regular file's data is.
enum class placement : std::uint8_t {
  nowhere,    ///< it is empty
  tar,        ///< in the tar of layer `device`, from `content` on
  flattened,  ///< to be put together: pieces number `content` of the tree, from layer `device`
};

struct inode {
  std::uint64_t size = 0;
  std::uint64_t content = 0;  ///< by placement
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t links = 0;      ///< names that lead to it
  std::uint32_t device = 0;     ///< of a device file its number, of a regular file its layer
  std::uint32_t more = none;    ///< a directory's names, a symbolic link's target
  std::uint32_t xattrs = none;  ///< in the tree's sets
  std::uint16_t mode = 0;
  placement place = placement::nowhere;

  [[nodiscard]] bool is_directory() const { return S_ISDIR(mode); }
  [[nodiscard]] bool is_link() const { return S_ISLNK(mode); }
};

/// A name in a directory, and the layer that has last said something of it.
struct name {
  std::uint32_t inode = none;
  std::uint32_t layer = none;
};

struct directory {
  std::map<std::string, name, std::less<>> names;
  std::uint32_t parent = 0;
  const std::string* text = nullptr;  ///< its own name
  std::uint32_t opaque_in = none;     ///< the layer in which it hides those below
  std::uint32_t hollow_in = none;     ///< the layer in which it is only there for whiteouts
  std::uint32_t subdirectories = 0;
};

class tree {
 public:
  tree() {
    inodes_.push_back({.mode = S_IFDIR | 0755});
    inodes_[root].links = 1;
    inodes_[root].more = add_directory(root);
  }

  static constexpr std::uint32_t root = 0;

  [[nodiscard]] std::size_t size() const { return inodes_.size(); }
  /// About how many bytes of memory it has taken; what is removed counts on.
  [[nodiscard]] std::uint64_t weight() const { return weight_; }
  [[nodiscard]] inode& at(std::uint32_t which) { return inodes_[which]; }
  [[nodiscard]] const inode& at(std::uint32_t which) const { return inodes_[which]; }
  [[nodiscard]] directory& names_of(std::uint32_t which) { return directories_[inodes_[which].more]; }
  [[nodiscard]] const directory& names_of(std::uint32_t which) const { return directories_[inodes_[which].more]; }
  [[nodiscard]] const std::string& target_of(std::uint32_t which) const { return targets_[inodes_[which].more]; }
  [[nodiscard]] const std::vector<segment>& pieces_of(std::uint32_t which) const {
    return pieces_[inodes_[which].content];
  }
  /// The bytes of an inode's extended attributes; empty where it has none.
  [[nodiscard]] std::string_view xattrs_of(std::uint32_t which) const {
    return inodes_[which].xattrs == none ? std::string_view{} : *xattr_sets_[inodes_[which].xattrs];
  }

  [[nodiscard]] const name* find(std::uint32_t in, std::string_view text) const {
    const auto& names = names_of(in).names;
    const auto found = names.find(text);
    return found == names.end() ? nullptr : &found->second;
  }

  /// A new inode without a name.
  std::uint32_t add(inode what) {
    weight_ += sizeof what;
    inodes_.push_back(what);
    return static_cast<std::uint32_t>(inodes_.size() - 1);
  }
  std::uint32_t add_target(std::string text) {
    weight_ += sizeof(std::string) + text.size();
    targets_.push_back(std::move(text));
    return static_cast<std::uint32_t>(targets_.size() - 1);
  }
  std::uint64_t add_pieces(std::vector<segment> all) {
    weight_ += sizeof(std::vector<segment>) + all.size() * sizeof(segment);
    pieces_.push_back(std::move(all));
    return pieces_.size() - 1;
  }
  /// Equal sets are kept once.
  std::uint32_t add_xattrs(std::string encoded) {
    if (encoded.empty()) return none;
    const auto [at, is_new] = xattr_numbers_.try_emplace(std::move(encoded), xattr_sets_.size());
    if (is_new) {
      xattr_sets_.push_back(&at->first);
      weight_ += 96 + at->first.size();
    }
    return static_cast<std::uint32_t>(at->second);
  }
  /// Makes an inode a directory below `parent`.
  void make_directory(std::uint32_t which, std::uint32_t parent) { inodes_[which].more = add_directory(parent); }

  /// Gives an inode a name, taking it from whatever had it.
  void link(std::uint32_t in, std::string_view text, std::uint32_t which, std::uint32_t layer) {
    ++inodes_[which].links;
    weight_ += 96 + text.size();
    remove(in, text);
    const auto at = names_of(in).names.emplace(text, name{which, layer}).first;
    if (!inodes_[which].is_directory()) return;
    ++names_of(in).subdirectories;
    names_of(which).text = &at->first;
  }

  /// Takes a name away, with all below it; false if there is none.
  bool remove(std::uint32_t in, std::string_view text) {
    auto& names = names_of(in).names;
    const auto found = names.find(text);
    if (found == names.end()) return false;
    const std::uint32_t which = found->second.inode;
    names.erase(found);
    if (inodes_[which].is_directory()) --names_of(in).subdirectories;
    release(which);
    return true;
  }

 private:
  std::uint32_t add_directory(std::uint32_t parent) {
    weight_ += sizeof(directory);
    directories_.push_back({.names = {}, .parent = parent});
    return static_cast<std::uint32_t>(directories_.size() - 1);
  }

  /// Not by recursion: layers are as deep as they like.
  void release(std::uint32_t which) {
    std::vector<std::uint32_t> leaving{which};
    while (!leaving.empty()) {
      const std::uint32_t next = leaving.back();
      leaving.pop_back();
      if (--inodes_[next].links != 0 || !inodes_[next].is_directory()) continue;
      for (const auto& [text, each] : names_of(next).names) leaving.push_back(each.inode);
      names_of(next).names.clear();
    }
  }

  std::uint64_t weight_ = 0;
  std::vector<inode> inodes_;
  std::deque<directory> directories_;
  std::deque<std::string> targets_;
  std::deque<std::vector<segment>> pieces_;
  std::map<std::string, std::size_t, std::less<>> xattr_numbers_;
  std::vector<const std::string*> xattr_sets_;
};

}  // namespace mortise::erofs
