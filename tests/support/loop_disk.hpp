// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A small file system with what the temporary directory's may lack, on a loop device, mounted for as long as the
/// object lives.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mortise/sys/fd.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace support {

struct ext4_quotas {
  static constexpr const char* what = "ext4 with project quotas";
  static constexpr const char* type = "ext4";
  static constexpr const char* mount = "prjquota";
  static constexpr const char* options = "-O quota,project -E quotatype=prjquota";
  static constexpr off_t size = 64 << 20;
};
struct xfs_quotas {
  static constexpr const char* what = "XFS with project quotas";
  static constexpr const char* type = "xfs";
  static constexpr const char* mount = "prjquota";
  static constexpr const char* options = "";
  static constexpr off_t size = 320 << 20;  // mkfs.xfs makes none of less than 300 MB
};
/// Files can share their bytes.
struct xfs_reflinks : xfs_quotas {
  static constexpr const char* what = "XFS";
  static constexpr const char* options = "-m reflink=1";
  static constexpr const char* mount = "rw";
};

class loop_disk {
 public:
  /// Nothing, with the reason as the case's, where it cannot be made. Its directory `d` is empty.
  template <class Kind>
  static std::unique_ptr<loop_disk> make() {
    if (missing_root() || missing_program(std::string("mkfs.") + Kind::type)) return nullptr;
    std::unique_ptr<loop_disk> out(new loop_disk);
    const std::string problem = out->mount(Kind::type, Kind::options, Kind::size, Kind::mount);
    if (problem.empty()) return out;
    skip(std::string("needs ") + Kind::what + " on a loop device: " + problem);
    return nullptr;
  }
  ~loop_disk() { ::umount2(path().c_str(), MNT_DETACH); }
  loop_disk(const loop_disk&) = delete;
  loop_disk& operator=(const loop_disk&) = delete;

  [[nodiscard]] std::string path() const { return place_ / "mounted"; }
  friend std::string operator/(const loop_disk& of, const std::string& name) { return of.path() + '/' + name; }

 private:
  loop_disk() = default;

  std::string mount(const std::string& type, const std::string& options, off_t size, const std::string& how) {
    const std::string image = place_ / "image";
    const mortise::sys::unique_fd file(::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file || ::ftruncate(file.get(), size) != 0) return "cannot make its file";
    if (std::system(("mkfs." + type + " -q " + options + ' ' + image + " >/dev/null 2>&1").c_str()) != 0)
      return "mkfs." + type + " fails";
    if (::mkdir(path().c_str(), 0700) != 0) return "cannot make its mount point";
    if (std::system(("mount -o loop," + how + ' ' + image + ' ' + path() + " >/dev/null 2>&1").c_str()) != 0)
      return "mount fails";
    return ::mkdir((*this / "d").c_str(), 0755) == 0 ? "" : "cannot make a directory";
  }

  temporary_directory place_;
};

}  // namespace support
