// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A packed image (model::erofs_layers) mounted by the kernel, detached: Documentation/filesystems/erofs.rst.

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/loop.hpp>
#include <mortise/sys/mount_context.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// How the kernel reaches an image's files: by themselves (Linux 6.12, and not on tmpfs or overlayfs), or each by a
/// loop device (6.4). `any` tries the first, then the second.
enum class erofs_way : unsigned char { any, file, loop };

namespace detail {

/// One attempt at a mount. Loop devices are held until the kernel holds them.
class erofs_mounter {
 public:
  explicit erofs_mounter(int directory) : directory_(directory) {}

  absl::StatusOr<sys::unique_fd> mount(erofs_way way) {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t devices, count_devices());
    MORTISE_ASSIGN_OR_RETURN(auto context, sys::mount_context::open("erofs", remedy));
    // Of the file system, beside the mount: the kernel opens a block device for writing else.
    MORTISE_RETURN_IF_ERROR(context.set("ro"));
    MORTISE_RETURN_IF_ERROR(add(context, "source", "index", way));
    for (std::size_t each = 0; each < devices; ++each)
      MORTISE_RETURN_IF_ERROR(add(context, "device", std::to_string(each), way));
    return context.mount(model::mount_flag::read_only);
  }

 private:
  /// "0", "1", …: as many as there are, without a gap.
  [[nodiscard]] absl::StatusOr<std::size_t> count_devices() const {
    std::size_t count = 0;
    while (::faccessat(directory_, std::to_string(count).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) ++count;
    if (errno != ENOENT) return errno_error(errno, concat("find layer ", count, " of the image"));
    return count;
  }

  /// By descriptor, so that no path of the host shows in the container's mount table, nor is too long for one option.
  absl::Status add(sys::mount_context& context, const char* key, const std::string& name, erofs_way way) {
    std::string value = concat("/proc/self/fd/", directory_, '/', name);
    if (way == erofs_way::loop) {
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd file, sys::open_at(directory_, name, O_RDONLY | O_NOFOLLOW));
      MORTISE_ASSIGN_OR_RETURN(sys::loop_device device, sys::attach_loop(file.get()));
      value = device.path;
      loops_.push_back(std::move(device));
    }
    return context.set(key, value);
  }

  static std::string_view remedy(int problem) {
    if (problem == ENODEV) return "the kernel has no EROFS: CONFIG_EROFS_FS";
    if (problem == EPERM) return "EROFS is for root of the first user namespace only";
    return problem == EINVAL ? "blocks of 512 bytes need Linux 6.4" : "";
  }

  int directory_;
  std::vector<sys::loop_device> loops_;
};

}  // namespace detail

/// A new, detached, read-only mount of the image whose `index` and layers lie in the directory.
/// Fails with: PERMISSION_DENIED without CAP_SYS_ADMIN in the first user namespace; NOT_FOUND (ENODEV) where the kernel
/// has no EROFS; INVALID_ARGUMENT where it is too old or the image is damaged.
inline absl::StatusOr<sys::unique_fd> mount_erofs(int directory, erofs_way way = erofs_way::any) {
  if (way != erofs_way::any) return detail::erofs_mounter(directory).mount(way);
  auto by_file = detail::erofs_mounter(directory).mount(erofs_way::file);
  // What a kernel says that mounts EROFS from block devices only, or of a file system whose files cannot carry it.
  const int problem = by_file.ok() ? 0 : errno_of(by_file.status());
  if (problem != ENOTBLK && problem != EINVAL && problem != EOPNOTSUPP) return by_file;
  auto by_loop = detail::erofs_mounter(directory).mount(erofs_way::loop);
  const bool looked = problem != ENOTBLK;  // at the image, and not only at what it lies in
  return looked && !by_loop.ok() ? std::move(by_file) : std::move(by_loop);
}

}  // namespace mortise::rootfs
