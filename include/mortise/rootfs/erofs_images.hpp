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
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd opened, sys::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct stat about{};
    if (::fstatat(opened.get(), "index", &about, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_error(errno, concat("open image '", directory, "/index'"));
    const std::lock_guard guard(shared_->mutex);
    if (!shared_->copies) return mount_erofs(opened.get(), shared_->way);
    MORTISE_ASSIGN_OR_RETURN(const int kept, find_or_mount(opened.get(), about));
    const long cloned = sys::raw_clone_tree(kept, "", false);
    if (cloned >= 0) return sys::unique_fd(static_cast<int>(cloned));
    if (cloned != -EINVAL) return errno_error(static_cast<int>(-cloned), "copy the image's mount");
    shared_->copies = false;
    sys::unique_fd only = std::move(shared_->images.front().tree);
    shared_->images.clear();
    return only;
  }

 private:
  static constexpr std::size_t most_kept = 16;

  struct image {
    dev_t device = 0;  ///< of the index, which is never changed in place
    ino_t inode = 0;
    timespec changed{};
    sys::unique_fd tree;
  };
  struct shared {
    std::mutex mutex;
    std::vector<image> images;  ///< the last used first
    bool copies = true;
    erofs_way way = erofs_way::any;
  };

  [[nodiscard]] absl::StatusOr<int> find_or_mount(int directory, const struct stat& index) const {
    auto& images = shared_->images;
    const auto found = std::find_if(images.begin(), images.end(), [&](const image& each) {
      return each.device == index.st_dev && each.inode == index.st_ino && each.changed.tv_sec == index.st_ctim.tv_sec &&
             each.changed.tv_nsec == index.st_ctim.tv_nsec;
    });
    if (found != images.end()) {
      std::rotate(images.begin(), found, found + 1);
      return images.front().tree.get();
    }
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd tree, mount_erofs(directory, shared_->way));
    if (images.size() == most_kept) images.pop_back();
    images.insert(images.begin(), image{index.st_dev, index.st_ino, index.st_ctim, std::move(tree)});
    return images.front().tree.get();
  }

  std::shared_ptr<shared> shared_;
};

}  // namespace mortise::rootfs
