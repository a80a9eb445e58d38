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
#include <mortise/sys/mount.hpp>
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
    context_.reset(static_cast<int>(sys::raw_fsopen("erofs")));
    if (context_.get() < 0) return failure("open file system erofs", context_.get());
    // Of the file system, beside the mount: the kernel opens a block device for writing else.
    if (const long set = sys::raw_fsconfig_flag(context_.get(), "ro"); set < 0) return failure("mount erofs: ro", set);
    MORTISE_RETURN_IF_ERROR(add("source", "index", way));
    for (std::size_t each = 0; each < devices; ++each)
      MORTISE_RETURN_IF_ERROR(add("device", std::to_string(each), way));
    if (const long made = sys::raw_fsconfig_create(context_.get()); made < 0) return failure("mount erofs", made);
    const long tree = sys::raw_fsmount(context_.get(), model::mount_flag::read_only);
    if (tree < 0) return failure("mount erofs", tree);
    return sys::unique_fd(static_cast<int>(tree));
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
  absl::Status add(const char* key, const std::string& name, erofs_way way) {
    std::string value = concat("/proc/self/fd/", directory_, '/', name);
    if (way == erofs_way::loop) {
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd file, sys::open_at(directory_, name, O_RDONLY | O_NOFOLLOW));
      MORTISE_ASSIGN_OR_RETURN(sys::loop_device device, sys::attach_loop(file.get()));
      value = device.path;
      loops_.push_back(std::move(device));
    }
    const long done = sys::raw_fsconfig_string(context_.get(), key, value.c_str());
    return done < 0 ? failure(concat("mount erofs: ", key), done) : absl::OkStatus();
  }

  /// With the kernel's own words, where it has some.
  [[nodiscard]] absl::Status failure(std::string_view what, long result) const {
    char words[256];
    const ssize_t got = context_.get() < 0 ? 0 : ::read(context_.get(), words, sizeof words);
    std::string_view said(words, got > 0 ? static_cast<std::size_t>(got) : 0);
    while (said.ends_with('\n')) said.remove_suffix(1);
    const int problem = static_cast<int>(-result);
    std::string_view remedy;
    if (problem == ENODEV) remedy = "the kernel has no EROFS: CONFIG_EROFS_FS";
    if (problem == EPERM) remedy = "EROFS is for root of the first user namespace only";
    if (problem == EINVAL) remedy = "blocks of 512 bytes need Linux 6.4";
    return errno_error(problem, said.empty() ? std::string(what) : concat(what, ": ", said), remedy);
  }

  int directory_;
  sys::unique_fd context_;
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
