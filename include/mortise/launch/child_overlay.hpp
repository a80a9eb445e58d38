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
#include <mortise/launch/child_named.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::launch {

/// A ladder, from the newest rung down; each takes as many layers as the kernel stacks, with paths of any length and
/// spelling, because each can name a directory by the number of a descriptor.
class child_overlay : public child_named {
 public:
  using child_named::child_named;

  /// What is no string by descriptor (Linux 6.14), else by its name (6.8); else by mount(2) with all in one page.
  long run(const model::op::new_overlay& o) {
    if (o.lower_tree) {
      const long done = configure(o, rung::descriptors);  // as it is: Linux 6.15
      if (done != -EINVAL && done != unsupported && done != unsupported_at_all) return done;
      const long attached = attach_lower(o);
      if (attached < 0) return attached;
    }
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

  /// Others may use the tree: a copy is attached, unless the kernel makes none, and so has no others.
  long attach_lower(const model::op::new_overlay& o) {
    const long copy = sys::raw_clone_tree(at(*o.lower_tree), "", false);
    if (copy < 0 && copy != -EINVAL) return step("open_tree", copy);
    if (copy >= 0) set(*o.lower_tree, copy);
    const sys::unique_fd target(static_cast<int>(step("open", open_directory(o.mount_point))));
    return target ? step("move_mount", sys::raw_attach(at(*o.lower_tree), target.get())) : target.get();
  }

  // --- fsopen(2) -----------------------------------------------------------------------------------------------------

  long configure(const model::op::new_overlay& o, rung way) {
    const sys::unique_fd context(static_cast<int>(step("fsopen", sys::raw_fsopen("overlay"))));
    if (context.get() == -ENOSYS) return unsupported;
    if (!context) return context.get();
    long done = add_lower(context.get(), way, o);
    if (done >= 0 && !o.upper.empty()) done = add_directory(context.get(), way, "upperdir", o.upper);
    if (done >= 0 && !o.upper.empty()) done = add_directory(context.get(), way, "workdir", o.work);
    if (done == unsupported || done == unsupported_at_all) return done;
    if (done < 0) return explain(context.get(), done);
    const long set = set_flags(context.get(), o);
    return set < 0 ? set : mount(context.get(), o.upper.empty() ? model::mount_flag::read_only : 0, o.to);
  }

  long add_lower(int context, rung way, const model::op::new_overlay& o) {
    if (o.lower_tree) return first_added(add_descriptor(context, way, "lowerdir+", at(*o.lower_tree)));
    for (const auto& each : o.lower) {
      const bool first = &each == &o.lower.front();
      // The first one always by descriptor: a kernel that takes any text refuses that at once.
      const long added = first ? first_added(add_opened(context, way, "lowerdir+", each))
                               : add_directory(context, way, "lowerdir+", each);
      if (added < 0) return added;
    }
    return 0;
  }

  /// The first refusal of the key itself is an older kernel's.
  static long first_added(long result) {
    if (result == -EINVAL) return unsupported;
    return result == -EOPNOTSUPP ? unsupported_at_all : result;
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

  /// What can be a string is one: a call in place of three.
  long add_directory(int context, rung way, const char* key, const std::string& path) {
    if (is_string(path)) return step(key, sys::raw_fsconfig_string(context, key, path.c_str()));
    return add_opened(context, way, key, path);
  }

  long add_opened(int context, rung way, const char* key, const std::string& path) {
    const long opened = step(key, open_directory(path));
    if (opened < 0) return opened;
    const sys::unique_fd directory(static_cast<int>(opened));
    return add_descriptor(context, way, key, directory.get());
  }

  long add_descriptor(int context, rung way, const char* key, int directory) {
    if (way == rung::descriptors) {
      const long added = step(key, sys::raw_fsconfig_fd(context, key, directory));
      // What else is wrong with it the next rung says. EBADF: a descriptor of O_PATH is none before Linux 6.14.
      return added == -EINVAL || added == -EBADF ? unsupported : added;
    }
    char name[descriptors_of_process.size() + 16];
    std::memcpy(name, descriptors_of_process.data(), descriptors_of_process.size());
    *std::to_chars(name + descriptors_of_process.size(), name + sizeof name - 1, directory).ptr = 0;
    return step(key, sys::raw_fsconfig_string(context, key, name));
  }

  /// Of fsconfig(2) a string has 255 bytes, and of overlayfs no backslash: it would take the next character as it is.
  static bool is_string(const std::string& path) { return path.size() <= 255 && path.find('\\') == std::string::npos; }

  // --- mount(2) ------------------------------------------------------------------------------------------------------

  /// All layers' descriptors are open at once.
  long mount_by_page(const model::op::new_overlay& o) {
    option_page options;
    const long filled = fill(o, options);
    if (filled < 0) return filled;
    const long moved = enter_descriptors();
    if (moved < 0) return moved;
    const unsigned long flags = o.upper.empty() ? MS_RDONLY : 0;
    const long mounted =
        step("mount", sys::call(SYS_mount, "overlay", o.mount_point.c_str(), "overlay", flags, options.text()));
    return mounted < 0 ? mounted : take(o.mount_point, o.to);
  }

  long fill(const model::op::new_overlay& o, option_page& options) {
    const auto add = [&](std::string_view before, const std::string& path) -> long {
      const long directory = open_directory(path);
      if (directory < 0) return directory;
      return options.add(before) && options.add(directory) ? 0 : -E2BIG;
    };
    if (o.lower_tree && !(options.add("lowerdir=") && options.add(static_cast<long>(at(*o.lower_tree)))))
      return step("lowerdir", -E2BIG);
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
