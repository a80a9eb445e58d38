// SPDX-License-Identifier: Apache-2.0
/// \file
/// Layers indexed over another layer: whatever is in the tar, what is written is an image that can be walked, and no
/// file's data lies outside of the tars.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <fuzz/tar_mutator.hpp>
#include <fuzz/target.hpp>
#include <mortise/erofs/index.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../archive/tar_builder.hpp"

namespace {

namespace sys = mortise::sys;
namespace erofs = mortise::erofs;

sys::unique_fd memory(std::string_view text) {
  sys::unique_fd file(::memfd_create("tar", MFD_CLOEXEC));
  fuzz::require(static_cast<bool>(file) && sys::write_all(file.get(), text).ok(), "a tar can be kept in memory");
  return file;
}

/// Reads an index as the kernel does, without trust in it.
class walker {
 public:
  walker(std::string image, std::uint64_t devices) : image_(std::move(image)), devices_(devices) {}

  void walk() {
    fuzz::require(number(1024, 4) == erofs::magic, "it has a superblock");
    blocks_ = number(1024 + 36, 4);
    fuzz::require((blocks_ * 512 + 4095) / 4096 * 4096 == image_.size(), "its blocks are all there, in whole pages");
    image_.resize(blocks_ * 512);
    std::vector<std::uint64_t> pending{number(1024 + 14, 2)};
    const std::uint64_t inodes = number(1024 + 16, 8);
    while (!pending.empty()) {
      const std::uint64_t next = pending.back();
      pending.pop_back();
      if (seen_.insert(next).second) visit(next, pending);
    }
    fuzz::require(seen_.size() == inodes, "each inode is reached", mortise::concat(seen_.size(), " of ", inodes));
  }

 private:
  [[nodiscard]] std::uint64_t number(std::uint64_t at, unsigned bytes) const {
    fuzz::require(at + bytes <= image_.size(), "no number is outside of the image");
    std::uint64_t out = 0;
    for (unsigned each = bytes; each-- > 0;) out = out << 8 | static_cast<unsigned char>(image_[at + each]);
    return out;
  }

  void visit(std::uint64_t nid, std::vector<std::uint64_t>& pending) {
    const std::uint64_t at = nid * 32;
    const std::uint64_t format = number(at, 2);
    const std::uint64_t count = number(at + 2, 2);
    const std::uint64_t mode = number(at + 4, 2);
    const std::uint64_t size = number(at + 8, 8);
    const std::uint64_t begin = at + 64 + (count == 0 ? 0 : 12 + (count - 1) * 4);
    const bool in_line = format >> 1 == 2;
    fuzz::require(!in_line || begin / 512 == (begin + size - 1) / 512 || size == 0, "what is in line is in one block");
    const std::uint64_t content = in_line ? begin : number(at + 16, 4) * 512;
    if (S_ISREG(mode) && size != 0)
      fuzz::require(content + size <= (blocks_ + devices_) * 512, "data lies in the image or the tars");
    if (S_ISLNK(mode)) fuzz::require(content + size <= image_.size(), "a link's target lies in the image");
    if (S_ISDIR(mode)) list(content, size, pending);
  }

  void list(std::uint64_t at, std::uint64_t size, std::vector<std::uint64_t>& pending) {
    fuzz::require(at + size <= image_.size(), "a directory lies in the image");
    std::string last;
    for (std::uint64_t block = 0; block < size; block += 512) {
      const std::uint64_t length = std::min<std::uint64_t>(512, size - block);
      const std::uint64_t names = number(at + block + 8, 2);
      fuzz::require(names % 12 == 0 && names <= length, "names come behind the entries");
      for (std::uint64_t each = 0; each < names; each += 12) {
        const std::uint64_t from = number(at + block + each + 8, 2);
        const std::uint64_t to = each + 12 < names ? number(at + block + each + 20, 2) : length;
        fuzz::require(from < to && to <= length, "a name lies in its block");
        std::string text = image_.substr(at + block + from, to - from);
        text.resize(std::min(text.size(), text.find('\0')));
        fuzz::require(last < text && text.find('/') == std::string::npos, "names are in order, and are names", text);
        last = text;
        pending.push_back(number(at + block + each, 8));
      }
    }
  }

  std::string image_;
  std::uint64_t devices_;
  std::uint64_t blocks_ = 0;
  std::set<std::uint64_t> seen_;
};

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  static const sys::unique_fd lower = memory(support::tar_builder()
                                                 .file("file", "of the layer below")
                                                 .file("directory/below/file", "deep in the layer below")
                                                 .directory("opaque")
                                                 .symlink("root", "/")
                                                 .symlink("up", "../..")
                                                 .symlink("loop", "loop")
                                                 .symlink("link", "directory")
                                                 .text());
  const sys::unique_fd tar = memory(input);
  const sys::unique_fd index = memory("");
  const std::array<erofs::layer_tar, 2> layers{erofs::layer_tar{lower.get()}, erofs::layer_tar{tar.get()}};
  erofs::index_options options;
  options.limits = {.unpacked = {1 << 20}, .entries = 100, .depth = 20};
  const auto written = erofs::write_index(layers, index.get(), options);
  if (!accepted(written)) return written.status();
  require(::lseek(index.get(), 0, SEEK_SET) == 0, "the index can be read");
  struct stat below{};
  require(::fstat(lower.get(), &below) == 0, "the layer below can be looked at");
  const std::uint64_t devices =
      static_cast<std::uint64_t>(below.st_size) / 512 + std::max<std::uint64_t>((input.size() + 511) / 512, 1);
  walker(taken(sys::read_all(index.get(), 64 << 20), "the index can be read"), devices).walk();
  return absl::OkStatus();
}
