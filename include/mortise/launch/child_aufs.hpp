// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The child's way to an aufs: aufs(5). Runs between clone and exec in the caller's memory: no allocation, no lock, no
/// Status.

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <mortise/launch/child_named.hpp>
#include <mortise/launch/child_overlay.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <span>

namespace mortise::launch {

/// So many branches are given at once: the kernel keeps a record for each in one page, of 48 bytes or so.
inline constexpr std::size_t aufs_batch = 64;

/// What mount(2) is told, directories being descriptors' numbers: `dirs=7=rw:8=ro+wh:9=ro+wh,dirperm1`. Without an
/// upper one (-1) the inode numbers are translated in a file of another directory, `table`, which is unlinked at once.
/// `dirperm1` has the top-most directory's mode count, as everywhere else. False if there is no room.
inline bool aufs_mount_options(long upper, std::span<const long> lower, long table, option_page& into) {
  bool fits = into.add("dirs=");
  if (upper >= 0) fits = fits && into.add(upper) && into.add(lower.empty() ? "=rw" : "=rw:");
  for (const long& each : lower)
    fits = fits && into.add(each) && into.add(&each == &lower.back() ? "=ro+wh" : "=ro+wh:");
  if (upper < 0) fits = fits && into.add(",xino=") && into.add(table) && into.add("/.aufs.xino");
  return fits && into.add(",dirperm1");
}

/// What the next mount(2) is told of an aufs that is there: `append=10=ro+wh,append=11=ro+wh`.
inline bool aufs_append_options(std::span<const long> lower, option_page& into) {
  bool fits = true;
  for (const long& each : lower)
    fits = fits && into.add(&each == &lower.front() ? "append=" : ",append=") && into.add(each) && into.add("=ro+wh");
  return fits;
}

class child_aufs : public child_overlay {
 public:
  using child_overlay::child_overlay;
  using child_overlay::run;

  long run(const model::op::new_aufs& o) {
    const unsigned long flags = o.upper.empty() ? MS_RDONLY : 0;
    const char* const where = o.mount_point.c_str();
    std::span<const std::string> left(o.lower);
    for (bool first = true; first || !left.empty(); first = false) {
      long numbers[aufs_batch];
      const std::size_t count = std::min(left.size(), aufs_batch);
      const long opened = open_all(left.first(count), numbers);
      if (opened < 0) return opened;
      left = left.subspan(count);
      option_page options;
      const long filled = first ? fill_first(o, {numbers, count}, options)
                                : step("append", aufs_append_options({numbers, count}, options) ? 0 : -E2BIG);
      if (filled < 0) return filled;
      const long moved = enter_descriptors();
      if (moved < 0) return moved;
      const long done =
          first ? step("mount", sys::call(SYS_mount, "aufs", where, "aufs", flags, options.text()))
                : step("append", sys::call(SYS_mount, nullptr, where, nullptr, MS_REMOUNT | flags, options.text()));
      if (done == -ENODEV) return refuse("mount", ENODEV, "the kernel has no aufs");
      if (done == -ENOSPC) return refuse("mount", ENOSPC, "these are more branches than this aufs was built for");
      if (done < 0) return done;
    }
    return take(o.mount_point, o.to);
  }

 private:
  long open_all(std::span<const std::string> paths, long* numbers) {
    for (const std::string& each : paths) {
      const long opened = step("lower directory", open_directory(each));
      if (opened < 0) return opened;
      *numbers++ = opened;
    }
    return 0;
  }

  long fill_first(const model::op::new_aufs& o, std::span<const long> lower, option_page& options) {
    const std::string& other = o.upper.empty() ? o.mount_point : o.upper;
    const long opened = step(o.upper.empty() ? "mount point" : "upper directory", open_directory(other));
    if (opened < 0) return opened;
    const bool fits = aufs_mount_options(o.upper.empty() ? -1 : opened, lower, opened, options);
    return fits ? 0 : step("mount", -E2BIG);
  }
};

}  // namespace mortise::launch
