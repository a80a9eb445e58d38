// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The child's way to an overlay, whatever the kernel's age: Documentation/filesystems/overlayfs.rst. Runs between
/// clone and exec in the caller's memory: no allocation, no lock, no Status.

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstring>
#include <mortise/launch/child_steps.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::launch {

/// A ladder, from the newest rung down; each takes as many layers as the kernel stacks, with paths of any length,
/// because each names a directory by the number of a descriptor.
class child_overlay : public child_steps {
 public:
  using child_steps::child_steps;

  /// By descriptors (Linux 6.13), else by names appended one by one (6.8), else by mount(2) with all in one page.
  long run(const model::op::new_overlay& o) {
    for (const auto way : {rung::descriptors, rung::names}) {
      const long done = configure(o, way);
      if (done == unsupported_at_all) break;
      if (done != unsupported) return done;
    }
    return mount_by_page(o);
  }

 private:
  enum class rung : unsigned char { descriptors, names };
  static constexpr long unsupported = LONG_MIN;
  /// Before Linux 6.5 the options are not overlayfs' own yet: any text is taken, and refused when it is too late.
  static constexpr long unsupported_at_all = LONG_MIN + 1;
  static constexpr std::string_view descriptors_of_process = "/proc/self/fd/";

  long open_directory(const std::string& path) {
    const long opened = sys::call(SYS_openat, AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (opened == -EMFILE) return refuse("open layer", EMFILE, "each layer takes a descriptor: raise RLIMIT_NOFILE");
    return opened;
  }

  // --- fsopen(2) -----------------------------------------------------------------------------------------------------

  long configure(const model::op::new_overlay& o, rung way) {
    const sys::unique_fd context(static_cast<int>(step("fsopen", sys::raw_fsopen("overlay"))));
    if (context.get() == -ENOSYS) return unsupported;
    if (!context) return context.get();
    for (const auto& lower : o.lower) {
      const long added = step("lowerdir+", add_directory(context.get(), way, "lowerdir+", lower));
      // The first refusal of the key itself is an older kernel's.
      if (added == -EINVAL && &lower == &o.lower.front()) return unsupported;
      if (added == -EOPNOTSUPP && &lower == &o.lower.front()) return unsupported_at_all;
      if (added < 0) return explain(context.get(), added);
    }
    if (!o.upper.empty()) {
      const long upper = step("upperdir", add_directory(context.get(), way, "upperdir", o.upper));
      if (upper < 0) return explain(context.get(), upper);
      const long work = step("workdir", add_directory(context.get(), way, "workdir", o.work));
      if (work < 0) return explain(context.get(), work);
    }
    const long set = set_flags(context.get(), o);
    return set < 0 ? set : mount(context.get(), o.upper.empty() ? model::mount_flag::read_only : 0, o.to);
  }

  long set_flags(int context, const model::op::new_overlay& o) {
    for (const auto& [wanted, key] :
         {std::pair{o.user_xattrs, "userxattr"}, std::pair{o.is_volatile && !o.upper.empty(), "volatile"}}) {
      if (!wanted) continue;
      const long done = step(key, sys::raw_fsconfig_flag(context, key));
      if (done < 0) return explain(context, done);
    }
    return 0;
  }

  long add_directory(int context, rung way, const char* key, const std::string& path) {
    const long opened = open_directory(path);
    if (opened < 0) return opened;
    const sys::unique_fd directory(static_cast<int>(opened));
    if (way == rung::descriptors) return sys::raw_fsconfig_fd(context, key, directory.get());
    char name[descriptors_of_process.size() + 16];
    std::memcpy(name, descriptors_of_process.data(), descriptors_of_process.size());
    *std::to_chars(name + descriptors_of_process.size(), name + sizeof name - 1, opened).ptr = 0;
    return sys::raw_fsconfig_string(context, key, name);
  }

  // --- mount(2) ------------------------------------------------------------------------------------------------------

  /// The options of mount(2), at most a page less its end.
  struct page {
    char text[4096];
    std::size_t length = 0;

    bool add(std::string_view more) {
      if (length + more.size() >= sizeof text) return false;
      std::memcpy(text + length, more.data(), more.size());
      length += more.size();
      text[length] = 0;
      return true;
    }
    bool add(long number) {
      char digits[24];
      return add(
          {digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, number).ptr - digits)});
    }
  };

  /// From /proc/self/fd a descriptor's number is a name: so five hundred layers fit into the page. They stay open until
  /// exec, for the kernel looks the names up in mount(2).
  long mount_by_page(const model::op::new_overlay& o) {
    page options;
    const long filled = fill(o, options);
    if (filled < 0) return filled;
    const long moved = step("chdir /proc/self/fd", sys::call(SYS_chdir, descriptors_of_process.data()));
    if (moved < 0) return moved;
    const char* const where = o.mount_point.c_str();
    const unsigned long flags = o.upper.empty() ? MS_RDONLY : 0;
    const long mounted = step("mount", sys::call(SYS_mount, "overlay", where, "overlay", flags, options.text));
    if (mounted < 0) return mounted;
    const long tree = step("open_tree", sys::raw_clone_tree(AT_FDCWD, where, false));
    if (tree < 0) return tree;
    set(o.to, tree);
    const long done = step("umount", sys::call(SYS_umount2, where, MNT_DETACH));
    return done < 0 ? done : step("chdir", sys::call(SYS_chdir, "/"));
  }

  long fill(const model::op::new_overlay& o, page& options) {
    const auto add = [&](std::string_view before, const std::string& path) -> long {
      const long directory = open_directory(path);
      if (directory < 0) return directory;
      return options.add(before) && options.add(directory) ? 0 : -E2BIG;
    };
    for (const auto& lower : o.lower) {
      const long added = step("lowerdir", add(&lower == &o.lower.front() ? "lowerdir=" : ":", lower));
      if (added < 0) return added;
    }
    if (!o.upper.empty()) {
      const long upper = step("upperdir", add(",upperdir=", o.upper));
      if (upper < 0) return upper;
      const long work = step("workdir", add(",workdir=", o.work));
      if (work < 0) return work;
    }
    const bool fits = (!o.user_xattrs || options.add(",userxattr")) &&
                      (!o.is_volatile || o.upper.empty() || options.add(",volatile"));
    return fits ? 0 : step("lowerdir", -E2BIG);
  }
};

}  // namespace mortise::launch
