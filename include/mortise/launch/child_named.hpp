// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Mounts by mount(2) whose directories have long paths: from /proc/self/fd a descriptor's number is a name, so that
/// hundreds of them fit into the page that there is for options. Runs between clone and exec in the caller's memory: no
/// allocation, no lock, no Status.

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <mortise/launch/child_steps.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/mount.hpp>
#include <string>
#include <string_view>

namespace mortise::launch {

/// The options of mount(2): a page less its end.
class option_page {
 public:
  /// False if there is no room.
  bool add(std::string_view more) {
    if (length_ + more.size() >= sizeof text_) return false;
    std::memcpy(text_ + length_, more.data(), more.size());
    length_ += more.size();
    text_[length_] = 0;
    return true;
  }
  bool add(long number) {
    char digits[24];
    return add({digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, number).ptr - digits)});
  }
  [[nodiscard]] const char* text() const { return text_; }

 private:
  char text_[4096] = {};
  std::size_t length_ = 0;
};

class child_named : public child_steps {
 public:
  using child_steps::child_steps;

 protected:
  static constexpr std::string_view descriptors_of_process = "/proc/self/fd/";

  /// Stays open until exec: the kernel looks its name up in mount(2).
  long open_directory(const std::string& path) {
    const long opened = sys::call(SYS_openat, AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (opened == -EMFILE) return refuse("open layer", EMFILE, "each layer takes a descriptor: raise RLIMIT_NOFILE");
    return opened;
  }

  /// From here on a descriptor's number is a name.
  long enter_descriptors() { return step("chdir /proc/self/fd", sys::call(SYS_chdir, descriptors_of_process.data())); }

  /// Takes what is mounted at a host directory away from there.
  long take(const std::string& mount_point, model::slot to) {
    const long tree = step("open_tree", sys::raw_clone_tree(AT_FDCWD, mount_point.c_str(), false));
    if (tree < 0) return tree;
    set(to, tree);
    const long done = step("umount", sys::call(SYS_umount2, mount_point.c_str(), MNT_DETACH));
    return done < 0 ? done : step("chdir", sys::call(SYS_chdir, "/"));
  }
};

}  // namespace mortise::launch
