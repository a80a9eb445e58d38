// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Lays a merged tree down as an EROFS image: superblock, device slots, inodes, then what does not fit behind them.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/erofs/dirents.hpp>
#include <mortise/erofs/format.hpp>
#include <mortise/erofs/output.hpp>
#include <mortise/erofs/tree.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::erofs {

/// A layer's tar as the image's extra device.
struct tar_device {
  int fd = -1;
  std::uint64_t size = 0;  ///< bytes
};

struct written {
  std::uint64_t inodes = 0;
  std::uint64_t metadata_bytes = 0;
  std::uint64_t flattened_bytes = 0;  ///< of files whose data is not one run in their tar, holes left out
};

/// In blocks of 512 bytes, a tar's own, files stay where they are in the tars; in larger ones their data is copied.
class writer {
 public:
  writer(const tree& all, std::span<const tar_device> devices, unsigned block_bits, const std::atomic<bool>* cancelled)
      : tree_(all),
        devices_(devices),
        block_bits_(block_bits),
        block_(std::size_t{1} << block_bits),
        cancelled_(cancelled),
        plans_(all.size()) {}

  absl::StatusOr<written> write(int to) {
    MORTISE_RETURN_IF_ERROR(arrange());
    output out(to);
    out.pass_to(begin_of_inodes());
    for (const std::uint32_t each : order_) write_inode(each, out);
    for (const std::uint32_t each : order_)
      if (plans_[each].block != 0 && !is_file(each)) write_content(each, out);
    for (const std::uint32_t each : order_)
      if (plans_[each].block != 0 && is_file(each)) MORTISE_RETURN_IF_ERROR(write_file(each, out));
    MORTISE_RETURN_IF_ERROR(out.finish(whole_pages(std::uint64_t{blocks_} << block_bits_)));
    MORTISE_RETURN_IF_ERROR(write_head(to));
    result_.inodes = order_.size();
    return result_;
  }

 private:
  /// Linux 7.3 reads no part of a page from a file, not even its last one.
  static constexpr std::uint64_t whole_pages(std::uint64_t size) { return (size + 4095) / 4096 * 4096; }

  /// Where an inode is, and where its content is if that lies in blocks of the index.
  struct plan {
    std::uint32_t slot = 0;
    std::uint32_t block = 0;
    bool in_line = false;
    std::uint64_t size = 0;
  };

  static absl::Status too_large() {
    return error(absl::StatusCode::kResourceExhausted,
                 "write index: the image has more blocks than EROFS can number (2 TiB with those of a tar)");
  }

  [[nodiscard]] bool is_file(std::uint32_t which) const { return S_ISREG(tree_.at(which).mode); }
  [[nodiscard]] bool is_copied(const inode& what) const {
    return what.place == placement::flattened || (what.place == placement::tar && block_bits_ != 9);
  }
  [[nodiscard]] std::uint64_t blocks_of(std::uint64_t bytes) const { return (bytes + block_ - 1) >> block_bits_; }
  /// The kernel takes no device without blocks.
  [[nodiscard]] std::uint64_t blocks_of_device(const tar_device& what) const {
    return std::max<std::uint64_t>(blocks_of(what.size), 1);
  }
  /// An image with all data in it has no other devices.
  [[nodiscard]] std::span<const tar_device> slots() const {
    return block_bits_ == 9 ? devices_ : std::span<const tar_device>{};
  }
  [[nodiscard]] std::uint64_t begin_of_inodes() const {
    return super_offset + super_size + slots().size() * device_slot_size;
  }

  // --- where everything goes -----------------------------------------------------------------------------------------

  absl::Status arrange() {
    if (devices_.size() > 65535) return too_large();
    std::uint64_t at = begin_of_inodes();
    for_each_inode([&](std::uint32_t which) { at = arrange_inode(which, at); });
    result_.metadata_bytes = at;
    std::uint64_t block = blocks_of(at);
    for (const std::uint32_t each : order_) {
      if (plans_[each].in_line || is_file(each)) continue;
      if (plans_[each].size != 0) take_blocks(each, block);
    }
    result_.metadata_bytes = block << block_bits_;
    for (const std::uint32_t each : order_)
      if (is_file(each) && is_copied(tree_.at(each))) take_blocks(each, block);
    std::uint64_t all = block;
    for (const tar_device& each : slots()) {
      addresses_.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(all, none)));
      all += blocks_of_device(each);
    }
    if (all >= none || at / inode_slot >= none) return too_large();
    blocks_ = static_cast<std::uint32_t>(block);
    return absl::OkStatus();
  }

  /// Once for each that has a name, the root first.
  template <class Each>
  void for_each_inode(Each each) {
    std::vector<std::uint32_t> pending{tree::root};
    while (!pending.empty()) {
      const std::uint32_t next = pending.back();
      pending.pop_back();
      take(next, each);
      for (const auto& [text, found] : tree_.names_of(next).names) {
        if (tree_.at(found.inode).is_directory()) {
          pending.push_back(found.inode);
        } else if (plans_[found.inode].slot == 0) {
          take(found.inode, each);
        }
      }
    }
  }
  template <class Each>
  void take(std::uint32_t which, Each& each) {
    order_.push_back(which);
    each(which);
  }

  /// Returns where the next one may begin. An inode does not cross a block's end, and neither does what lies behind it.
  std::uint64_t arrange_inode(std::uint32_t which, std::uint64_t at) {
    const inode& what = tree_.at(which);
    plan& of = plans_[which];
    of.size = what.is_directory() ? directory_size(tree_, which, block_) : what.size;
    const std::uint64_t head = inode_size + tree_.xattrs_of(which).size();
    at = (at + inode_slot - 1) / inode_slot * inode_slot;
    if (at % block_ + inode_size > block_) at = (at / block_ + 1) * block_;
    if ((what.is_directory() || what.is_link()) && head + of.size <= block_) {
      of.in_line = true;
      if (at % block_ + head + of.size > block_) at = (at / block_ + 1) * block_;
    }
    of.slot = static_cast<std::uint32_t>(at / inode_slot);
    return at + head + (of.in_line ? of.size : 0);
  }

  void take_blocks(std::uint32_t which, std::uint64_t& block) {
    plans_[which].block = static_cast<std::uint32_t>(std::min<std::uint64_t>(block, none));
    block += blocks_of(plans_[which].size);
  }

  // --- bytes ---------------------------------------------------------------------------------------------------------

  void write_inode(std::uint32_t which, output& out) {
    const inode& what = tree_.at(which);
    const std::string_view xattrs = tree_.xattrs_of(which);
    out.pass_to(std::uint64_t{plans_[which].slot} * inode_slot);
    char bytes[inode_size] = {};
    put_inode(bytes, {.how = plans_[which].in_line ? layout::in_line : layout::plain,
                      .xattr_count = xattr_count_of(xattrs.size()),
                      .mode = what.mode,
                      .size = plans_[which].size,
                      .content = content_of(which),
                      .number = plans_[which].slot,
                      .uid = what.uid,
                      .gid = what.gid,
                      .seconds = what.seconds,
                      .nanoseconds = what.nanoseconds,
                      .links = what.is_directory() ? 2 + tree_.names_of(which).subdirectories : what.links});
    out.append({bytes, sizeof bytes});
    out.append(xattrs);
    if (plans_[which].in_line) write_content(which, out);
  }

  [[nodiscard]] std::uint32_t content_of(std::uint32_t which) const {
    const inode& what = tree_.at(which);
    if (S_ISCHR(what.mode) || S_ISBLK(what.mode)) return what.device;
    if (is_file(which) && what.place == placement::tar && !is_copied(what))
      return addresses_[what.device] + static_cast<std::uint32_t>(what.content >> block_bits_);
    return plans_[which].block;
  }

  /// Of a directory or a symbolic link.
  void write_content(std::uint32_t which, output& out) {
    if (!plans_[which].in_line) out.pass_to(std::uint64_t{plans_[which].block} << block_bits_);
    if (tree_.at(which).is_link()) return out.append(tree_.target_of(which));
    const std::uint64_t begin = out.position();
    std::uint64_t number = 0;
    dirent_blocks blocks(block_, [&](const std::string& bytes) {
      out.pass_to(begin + number++ * block_);
      out.append(bytes);
    });
    for_each_entry(tree_, which, [&](std::string_view text, std::uint32_t each) {
      blocks.add(text, plans_[each].slot, type_of(tree_.at(each).mode));
    });
    blocks.flush();
  }

  absl::Status write_file(std::uint32_t which, output& out) {
    const inode& what = tree_.at(which);
    const std::uint64_t begin = std::uint64_t{plans_[which].block} << block_bits_;
    if (what.place == placement::tar) return copy({0, what.content, what.size}, what.device, begin, out);
    for (const segment& each : tree_.pieces_of(which)) MORTISE_RETURN_IF_ERROR(copy(each, what.device, begin, out));
    return absl::OkStatus();
  }

  absl::Status copy(segment what, std::uint32_t device, std::uint64_t begin, output& out) {
    std::string buffer;
    if (begin + what.offset < out.position())
      return error(absl::StatusCode::kInvalidArgument, "write index: pieces of a sparse file are not in order");
    out.pass_to(begin + what.offset);
    result_.flattened_bytes += what.size;
    while (what.size != 0) {
      if (cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed))
        return error(absl::StatusCode::kCancelled, "cancelled");
      buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(what.size, std::uint64_t{256} << 10)));
      const ssize_t got = ::pread(devices_[device].fd, buffer.data(), buffer.size(), static_cast<off_t>(what.position));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_error(errno, "read layer tar");
      if (got == 0) return error(absl::StatusCode::kDataLoss, "read layer tar: it became shorter");
      out.append({buffer.data(), static_cast<std::size_t>(got)});
      what.position += static_cast<std::uint64_t>(got);
      what.size -= static_cast<std::uint64_t>(got);
    }
    return absl::OkStatus();
  }

  /// The superblock, whose checksum covers the first device slots too.
  absl::Status write_head(int to) {
    std::string head(static_cast<std::size_t>(begin_of_inodes()), '\0');
    const std::span<char> bytes(head);
    put_super(bytes.subspan(super_offset, super_size), {.block_bits = block_bits_,
                                                        .inodes = order_.size(),
                                                        .blocks = blocks_,
                                                        .root = static_cast<std::uint16_t>(plans_[tree::root].slot),
                                                        .devices = static_cast<std::uint16_t>(slots().size())});
    for (std::size_t each = 0; each < slots().size(); ++each)
      put_device(bytes.subspan(super_offset + super_size + each * device_slot_size, device_slot_size),
                 std::to_string(each), static_cast<std::uint32_t>(blocks_of_device(devices_[each])), addresses_[each]);
    MORTISE_ASSIGN_OR_RETURN(const std::string covered, covered_by_checksum(to, head));
    put(bytes, super_offset + 4, checksum(covered));
    if (::pwrite(to, head.data() + super_offset, head.size() - super_offset, super_offset) ==
        static_cast<ssize_t>(head.size() - super_offset))
      return absl::OkStatus();
    return errno_error(errno, "write index");
  }

  /// From the superblock to the end of a block, or of the block that it is in.
  [[nodiscard]] absl::StatusOr<std::string> covered_by_checksum(int to, std::string_view head) const {
    std::string out(block_ > super_offset ? block_ - super_offset : block_, '\0');
    const ssize_t got = ::pread(to, out.data(), out.size(), super_offset);
    if (got < 0) return errno_error(errno, "read index");
    const std::string_view known = head.substr(super_offset, out.size());
    std::copy(known.begin(), known.end(), out.begin());
    return out;
  }

  const tree& tree_;
  std::span<const tar_device> devices_;
  unsigned block_bits_;
  std::size_t block_;
  const std::atomic<bool>* cancelled_;
  std::vector<plan> plans_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> addresses_;  ///< of the devices' first blocks
  std::uint32_t blocks_ = 0;
  written result_;
};

}  // namespace mortise::erofs
