// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The packed images that a process has mounted: each once, however many containers show it.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// Keeps the mounts of the images that were used last, detached: nobody else sees them, and they end with this object.
/// A mount keeps its image's files on the disk, also when a store has removed them; so only few are kept. May be used
/// by several threads at once; copies share what they keep.
class erofs_images {
 public:
  explicit erofs_images(erofs_way way = erofs_way::any) : shared_(std::make_shared<shared>()) { shared_->way = way; }

  /// A detached read-only mount of the image in `directory`, of the caller's own. Where the kernel cannot copy detached
  /// mounts (before Linux 6.15), the image is mounted once more.
  absl::StatusOr<sys::unique_fd> mount(const std::string& directory) const {
    const std::lock_guard guard(shared_->mutex);
    MORTISE_ASSIGN_OR_RETURN(const auto found, find_or_mount(directory));
    if (!shared_->copies) return std::move(*found);  // nobody else has it
    const long cloned = sys::raw_clone_tree(found->get(), "", false);
    if (cloned < 0) return errno_error(static_cast<int>(-cloned), "copy the image's mount");
    return sys::unique_fd(static_cast<int>(cloned));
  }

  /// The same for whoever leaves it detached: the mount that is kept itself.
  absl::StatusOr<std::shared_ptr<const sys::unique_fd>> share(const std::string& directory) const {
    const std::lock_guard guard(shared_->mutex);
    return find_or_mount(directory);
  }

 private:
  static constexpr std::size_t most_kept = 16;

  struct image {
    dev_t device = 0;  ///< of the index, which is never changed in place
    ino_t inode = 0;
    timespec changed{};
    std::shared_ptr<sys::unique_fd> tree;

    [[nodiscard]] bool has(const struct stat& index) const {
      return device == index.st_dev && inode == index.st_ino && changed.tv_sec == index.st_ctim.tv_sec &&
             changed.tv_nsec == index.st_ctim.tv_nsec;
    }
  };
  struct shared {
    std::mutex mutex;
    std::vector<image> images;  ///< the last used first
    bool copies = true;
    erofs_way way = erofs_way::any;
  };

  /// Kept, if the kernel can copy it.
  [[nodiscard]] absl::StatusOr<std::shared_ptr<sys::unique_fd>> find_or_mount(const std::string& directory) const {
    auto& images = shared_->images;
    struct stat about{};
    if (!images.empty() && ::lstat((directory + "/index").c_str(), &about) == 0) {
      const auto found = std::find_if(images.begin(), images.end(), [&](const image& each) { return each.has(about); });
      if (found != images.end()) {
        std::rotate(images.begin(), found, found + 1);
        return images.front().tree;
      }
    }
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd opened, sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fstatat(opened.get(), "index", &about, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_error(errno, concat("open image '", directory, "/index'"));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd mounted, mount_erofs(opened.get(), shared_->way));
    auto tree = std::make_shared<sys::unique_fd>(std::move(mounted));
    if (!can_copy(tree->get())) return tree;
    if (images.size() == most_kept) images.pop_back();
    images.insert(images.begin(), image{about.st_dev, about.st_ino, about.st_ctim, tree});
    return tree;
  }

  [[nodiscard]] bool can_copy(int tree) const {
    if (!shared_->copies) return false;
    const sys::unique_fd copied(static_cast<int>(sys::raw_clone_tree(tree, "", false)));
    return shared_->copies = copied.get() != -EINVAL;
  }

  std::shared_ptr<shared> shared_;
};

}  // namespace mortise::rootfs
