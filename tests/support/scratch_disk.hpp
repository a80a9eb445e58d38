// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A disk in memory for what the cases of a suite write.

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace support {

/// A new ext4 on a loop device over a tmpfs, and $TMPDIR there: cases make and remove hundreds of thousands of files,
/// and a file system without a journal that has just removed many makes new ones twenty times slower. It is no tmpfs,
/// since that carries no EROFS image and, on older kernels, no attributes of users.
///
/// Nothing changes where $TMPDIR is set, or where this cannot be had: without root, loop devices, mkfs.ext4 or enough
/// memory. The process has a mount namespace of its own, with which the disk goes, even if it is killed.
class scratch_disk {
 public:
  scratch_disk() {
    if (::geteuid() != 0 || std::getenv("TMPDIR") != nullptr || ::mkdtemp(path_.data()) == nullptr) return;
    if (::mount("tmpfs", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0) ++mounts_;
    if (mounts_ == 1 && holds(size) && run(make()) && run(mount())) ++mounts_;
    if (mounts_ == 2 && ::chmod(path_.c_str(), 01777) == 0) ::setenv("TMPDIR", path_.c_str(), 1);
  }
  scratch_disk(const scratch_disk&) = delete;
  scratch_disk& operator=(const scratch_disk&) = delete;
  ~scratch_disk() {
    while (mounts_-- > 0) ::umount2(path_.c_str(), MNT_DETACH);
    ::rmdir(path_.c_str());
  }

 private:
  static constexpr std::uint64_t size = std::uint64_t{4} << 30;  ///< twice what any suite has needed

  [[nodiscard]] bool holds(std::uint64_t bytes) const {
    struct statvfs room{};
    return ::statvfs(path_.c_str(), &room) == 0 && std::uint64_t{room.f_bavail} * room.f_frsize >= bytes;
  }
  [[nodiscard]] std::string make() const {
    return "mkfs.ext4 -q -m 0 -E lazy_itable_init=1,lazy_journal_init=1 " + path_ + "/disk " +
           std::to_string(size >> 10) + 'k';
  }
  /// What is removed is given back to the memory.
  [[nodiscard]] std::string mount() const {
    return "mount -t ext4 -o loop,discard,noinit_itable " + path_ + "/disk " + path_;
  }
  static bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

  std::string path_ = "/tmp/mortise-XXXXXX";  // short, since cases put sockets below it
  int mounts_ = 0;
};

}  // namespace support
