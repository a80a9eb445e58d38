// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The child's mount operations: everything is built detached and attached by descriptor. Runs between
/// clone and exec in the caller's memory: no allocation, no lock, no Status.

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <mortise/launch/report.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/path.hpp>
#include <span>
#include <string>
#include <utility>

namespace mortise::launch {

/// Each `run` returns 0 or -errno, having named its sub-step in the report before each system call.
class child_mounts {
 public:
  child_mounts(std::span<int> slots, report& to) : slots_(slots), report_(to) {}

  long run(const model::op::make_private&) {
    return step("mount", sys::call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  }

  long run(const model::op::clone_tree& o) {
    const long tree = step("open_tree", sys::raw_clone_tree(AT_FDCWD, o.source.c_str(), o.recursive, false));
    if (tree < 0) return tree;
    set(o.to, tree);
    return o.flags == 0 ? 0
                        : step("mount_setattr", sys::raw_set_mount_flags(static_cast<int>(tree), o.flags, o.recursive));
  }

  long run(const model::op::adopt_tree& o) {
    set(o.to, o.from);
    return 0;
  }

  long run(const model::op::attach_on_host& o) {
    const sys::unique_fd target(
        static_cast<int>(step("open", sys::call(SYS_openat, AT_FDCWD, o.directory.c_str(), O_PATH | O_CLOEXEC, 0))));
    return target ? step("move_mount", sys::raw_attach(at(o.from), target.get())) : target.get();
  }

  long run(const model::op::new_filesystem& o) {
    const sys::unique_fd context(static_cast<int>(step("fsopen", sys::raw_fsopen(o.type.c_str()))));
    if (!context) return context.get();
    for (const auto& [key, value] : o.options) {
      const long done = value.empty() ? sys::raw_fsconfig_flag(context.get(), key.c_str())
                                      : sys::raw_fsconfig_string(context.get(), key.c_str(), value.c_str());
      if (step("fsconfig", done) < 0) return explain(context.get(), done);
    }
    return mount(context.get(), o.flags, o.to);
  }

  /// By descriptors (Linux 6.13), else by paths appended one by one (6.8), else by mount(2) (all).
  long run(const model::op::new_overlay& o) {
    for (const auto way : {overlay_way::descriptors, overlay_way::paths}) {
      const long done = new_overlay(o, way);
      if (done != unsupported) return done;
    }
    return mount_overlay(o);
  }

  long run(const model::op::attach& o) {
    const sys::links policy = o.follow_links ? sys::links::within_root : sys::links::refused;
    const int base = at(o.target.base);
    const char* const path = o.target.path.c_str();
    if (o.target.base != model::slot::root && o.otherwise != model::missing::is_error && !std::strchr(path, '/')) {
      const long attached = attach_at_new(o, base, path);
      if (attached != -EEXIST) return attached;
    }
    long target = sys::raw_open_in_root(base, path, O_PATH, 0, policy);
    if (target == -ENOENT && o.otherwise != model::missing::is_error) {
      const bool directory = o.otherwise == model::missing::make_directory;
      const long made =
          step(directory ? "make directory" : "make file", sys::raw_create_in_root(base, path, directory, policy));
      if (made < 0) return made;
      target = sys::raw_open_in_root(base, path, O_PATH, 0, policy);
    }
    if (step("open", target) < 0) return target;
    const sys::unique_fd held(static_cast<int>(target));
    if (o.follow_links && is_kernel_directory(held.get()))
      return refuse("open", EINVAL, "a link leads into /proc or /sys, over which nothing may be mounted");
    return step("move_mount", sys::raw_attach(at(o.from), held.get()));
  }

  long run(const model::op::enter_root& o) {
    const int tree = at(o.from);
    const sys::unique_fd target(
        static_cast<int>(step("open", sys::call(SYS_openat, AT_FDCWD, o.mount_point.c_str(), O_PATH | O_CLOEXEC, 0))));
    if (!target) return target.get();
    long done = step("move_mount", sys::raw_attach(tree, target.get()));
    if (done >= 0) done = step("fchdir", sys::call(SYS_fchdir, tree));
    // pivot_root(".", ".") stacks the old root on the new one, from where it is detached: pivot_root(2).
    if (done >= 0) done = step("pivot_root", sys::call(SYS_pivot_root, ".", "."));
    if (done >= 0) done = step("umount", sys::call(SYS_umount2, ".", MNT_DETACH));
    if (done >= 0) done = step("chdir", sys::call(SYS_chdir, "/"));
    if (done >= 0) set(model::slot::root, tree);
    return done;
  }

  /// The node lies in a tmpfs that nobody else reaches, and is bound over an empty file.
  long run(const model::op::make_node& o) {
    return make_entry(o.where, [&](int parent, const char* name) -> long {
      long done = open_nodes();
      const auto device = static_cast<unsigned>(o.device);
      if (done >= 0) done = step("mknod", sys::call(SYS_mknodat, nodes_.get(), name, o.mode, device));
      // mknod(2) applies the umask
      if (done >= 0) done = step("chmod", sys::call(SYS_fchmodat, nodes_.get(), name, o.mode & 07777));
      if (done >= 0) done = step("make file", sys::call(SYS_mknodat, parent, name, S_IFREG | 0444, 0));
      if (done < 0) return done;
      const sys::unique_fd node(static_cast<int>(step("open_tree", sys::raw_clone_tree(nodes_.get(), name, false))));
      if (!node) return node.get();
      return step("move_mount", sys::raw_attach_at(node.get(), parent, name));
    });
  }
  long run(const model::op::make_symlink& o) {
    return make_entry(o.where, [&](int parent, const char* name) {
      return step("symlink", sys::call(SYS_symlinkat, o.target.c_str(), parent, name));
    });
  }
  long run(const model::op::make_directory& o) {
    return make_entry(o.where, [&](int parent, const char* name) {
      const long made = step("mkdir", sys::call(SYS_mkdirat, parent, name, o.mode));
      return made < 0 ? made : step("chmod", sys::call(SYS_fchmodat, parent, name, o.mode & 07777));
    });
  }

  long run(const model::op::mask& o) {
    const long found = open_existing(o.where);
    if (found == -ENOENT) return 0;
    if (step("open", found) < 0) return found;
    const sys::unique_fd target(static_cast<int>(found));
    struct stat about{};
    if (::fstat(target.get(), &about) != 0) return step("stat", -errno);
    const long tree = S_ISDIR(about.st_mode) ? empty_directory() : null_device();
    if (tree < 0) return tree;
    const sys::unique_fd held(static_cast<int>(tree));
    const long attached = step("move_mount", sys::raw_attach(held.get(), target.get()));
    if (attached >= 0 && S_ISDIR(about.st_mode) && !masked_) masked_.reset(::fcntl(held.get(), F_DUPFD_CLOEXEC, 3));
    return attached;
  }

  long run(const model::op::make_read_only& o) {
    const long found = open_existing(o.where);
    if (found == -ENOENT) return 0;
    if (step("open", found) < 0) return found;
    const sys::unique_fd target(static_cast<int>(found));
    const sys::unique_fd tree(static_cast<int>(step("open_tree", sys::raw_clone_tree(target.get(), "", true))));
    if (!tree) return tree.get();
    const long set = step("mount_setattr", sys::raw_set_mount_flags(tree.get(), model::mount_flag::read_only, true));
    return set < 0 ? set : step("move_mount", sys::raw_attach(tree.get(), target.get()));
  }

  long run(const model::op::seal_root& o) {
    return step("mount_setattr", sys::raw_set_mount_flags(at(model::slot::root), o.flags, false));
  }

 protected:
  [[nodiscard]] int at(model::slot which) const { return slots_[static_cast<std::size_t>(which)]; }

  /// Names the sub-step that a failure is reported under, and passes the result on.
  long step(const char* name, long result) {
    report_.step = name;
    return result;
  }
  /// A failure of our own finding.
  long refuse(const char* name, int error, const char* words) {
    report_.words = words;
    return step(name, -error);
  }

 private:
  /// In a file system that we have only just made a name is mostly new, and what we make ourselves needs no
  /// resolving: two calls in place of six. -EEXIST where the name is taken.
  long attach_at_new(const model::op::attach& o, int base, const char* name) {
    const bool directory = o.otherwise == model::missing::make_directory;
    const long made =
        directory ? sys::call(SYS_mkdirat, base, name, 0755) : sys::call(SYS_mknodat, base, name, S_IFREG | 0644, 0);
    if (made < 0) return step(directory ? "make directory" : "make file", made);
    return step("move_mount", sys::raw_attach_at(at(o.from), base, name));
  }

  enum class overlay_way : unsigned char { descriptors, paths };
  static constexpr long unsupported = LONG_MIN;
  static constexpr std::size_t most_mount_data = 4095;  // a page less its end: mount(2)

  void set(model::slot which, long fd) { slots_[static_cast<std::size_t>(which)] = static_cast<int>(fd); }

  /// The kernel's own words on a file system context: fsopen(2), "message retrieval interface".
  long explain(int context, long failure) {
    const long got = sys::call(SYS_read, context, report_.detail, sizeof report_.detail - 1);
    report_.detail[got > 0 ? got : 0] = 0;
    return failure;
  }

  long mount(int context, std::uint64_t flags, model::slot to) {
    const long made = step("fsconfig create", sys::raw_fsconfig_create(context));
    if (made < 0) return explain(context, made);
    const long tree = step("fsmount", sys::raw_fsmount(context, flags));
    if (tree < 0) return explain(context, tree);
    set(to, tree);
    return 0;
  }

  long add_directory(int context, overlay_way way, const char* key, const char* path) {
    if (way == overlay_way::paths) return sys::raw_fsconfig_string(context, key, path);
    const long opened = sys::call(SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (opened < 0) return opened;
    const sys::unique_fd directory(static_cast<int>(opened));
    return sys::raw_fsconfig_fd(context, key, directory.get());
  }

  long new_overlay(const model::op::new_overlay& o, overlay_way way) {
    const sys::unique_fd context(static_cast<int>(step("fsopen", sys::raw_fsopen("overlay"))));
    if (!context) return context.get();
    for (const auto& lower : o.lower) {
      const long added = step("lowerdir+", add_directory(context.get(), way, "lowerdir+", lower.c_str()));
      // The first refusal of the key itself is an older kernel's; a path too long for a string is no error either.
      if (added == -EINVAL && &lower == &o.lower.front()) return unsupported;
      if (added == -EINVAL && way == overlay_way::paths && lower.size() > 255) return unsupported;
      if (added < 0) return explain(context.get(), added);
    }
    if (!o.upper.empty()) {
      const long upper = step("upperdir", add_directory(context.get(), way, "upperdir", o.upper.c_str()));
      if (upper < 0) return explain(context.get(), upper);
      const long work = step("workdir", add_directory(context.get(), way, "workdir", o.work.c_str()));
      if (work < 0) return explain(context.get(), work);
    }
    for (const auto& [wanted, key] :
         {std::pair{o.user_xattrs, "userxattr"}, std::pair{o.is_volatile && !o.upper.empty(), "volatile"}}) {
      if (!wanted) continue;
      const long done = step(key, sys::raw_fsconfig_flag(context.get(), key));
      if (done < 0) return explain(context.get(), done);
    }
    return mount(context.get(), 0, o.to);
  }

  /// mount(2) with each directory as /proc/self/fd/N, which keeps two hundred layers within its one page.
  long mount_overlay(const model::op::new_overlay& o) {
    char data[most_mount_data + 1];
    std::size_t length = 0;
    const auto add = [&](const char* text) {
      const std::size_t size = std::strlen(text);
      if (length + size >= sizeof data) return false;
      std::memcpy(data + length, text, size + 1);
      length += size;
      return true;
    };
    const auto add_directory_as = [&](const char* before, const std::string& path) -> long {
      // Kept open, not owned: the kernel resolves the names in mount(2) below, and exec closes them.
      const long fd = sys::call(SYS_openat, AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
      if (fd < 0) return fd;
      char number[24];
      *std::to_chars(number, number + sizeof number - 1, fd).ptr = 0;
      return add(before) && add("/proc/self/fd/") && add(number) ? 0 : -E2BIG;
    };
    for (const auto& lower : o.lower) {
      const long added = step("lowerdir", add_directory_as(&lower == &o.lower.front() ? "lowerdir=" : ":", lower));
      if (added < 0) return added;
    }
    if (!o.upper.empty()) {
      long added = step("upperdir", add_directory_as(",upperdir=", o.upper));
      if (added >= 0) added = step("workdir", add_directory_as(",workdir=", o.work));
      if (added < 0) return added;
    }
    if ((o.user_xattrs && !add(",userxattr")) || (o.is_volatile && !o.upper.empty() && !add(",volatile")))
      return step("lowerdir", -E2BIG);
    const char* const where = o.mount_point.c_str();
    const long mounted = step("mount", sys::call(SYS_mount, "overlay", where, "overlay", 0, data));
    if (mounted < 0) return mounted;
    const long tree = step("open_tree", sys::raw_clone_tree(AT_FDCWD, where, false));
    if (tree < 0) return tree;
    set(o.to, tree);
    return step("umount", sys::call(SYS_umount2, where, MNT_DETACH));
  }

  /// Whether it is of procfs or sysfs, where a file of the image's could feign what set-up reads: CVE-2019-16884.
  static bool is_kernel_directory(int fd) {
    struct statfs about{};
    return ::fstatfs(fd, &about) == 0 && (about.f_type == PROC_SUPER_MAGIC || about.f_type == SYSFS_MAGIC);
  }

  /// O_PATH descriptor of something that must not be reached through a link.
  [[nodiscard]] long open_existing(const model::place& where) const {
    return sys::raw_open_in_root(at(where.base), where.path.c_str(), O_PATH | O_NOFOLLOW, 0, sys::links::refused);
  }

  /// Calls `make(parent, name)` with the directory that `where` names its entry in.
  template <class Make>
  long make_entry(const model::place& where, Make make) {
    const char* const path = where.path.c_str();
    const char* const slash = std::strrchr(path, '/');
    if (slash == nullptr) return make(at(where.base), path);
    char parent[PATH_MAX];
    if (static_cast<std::size_t>(slash - path) >= sizeof parent) return step("open", -ENAMETOOLONG);
    std::memcpy(parent, path, static_cast<std::size_t>(slash - path));
    parent[slash - path] = 0;
    const sys::unique_fd directory(
        static_cast<int>(step("open", sys::raw_open_in_root(at(where.base), slash == path ? "/" : parent,
                                                            O_PATH | O_DIRECTORY, 0, sys::links::refused))));
    return directory ? make(directory.get(), slash + 1) : directory.get();
  }

  /// One empty read-only tmpfs for all masked directories, detached.
  long empty_directory() {
    if (masked_) return step("open_tree", sys::raw_clone_tree(masked_.get(), "", false));
    using namespace model::mount_flag;
    return new_tmpfs(read_only | no_suid | no_dev | no_exec);
  }

  /// The one file system of the container in which device nodes work.
  long open_nodes() {
    using namespace model::mount_flag;
    if (nodes_) return 0;
    const long made = new_tmpfs(no_suid | no_exec);
    if (made >= 0) nodes_.reset(static_cast<int>(made));
    return made;
  }

  long new_tmpfs(std::uint64_t flags) {
    const sys::unique_fd context(static_cast<int>(step("fsopen", sys::raw_fsopen("tmpfs"))));
    if (!context) return context.get();
    const long made = step("fsconfig create", sys::raw_fsconfig_create(context.get()));
    if (made < 0) return explain(context.get(), made);
    return step("fsmount", sys::raw_fsmount(context.get(), flags));
  }

  /// The null device of the container's own /dev, detached; anything else under that name is refused.
  long null_device() {
    if (!null_) {
      sys::unique_fd found(
          static_cast<int>(step("open /dev/null", sys::raw_open_in_root(at(model::slot::root), "dev/null",
                                                                        O_PATH | O_NOFOLLOW, 0, sys::links::refused))));
      if (!found) return found.get();
      struct stat about{};
      if (::fstat(found.get(), &about) != 0) return step("stat /dev/null", -errno);
      if (!S_ISCHR(about.st_mode) || about.st_rdev != makedev(1, 3)) return step("check /dev/null", -ENODEV);
      null_ = std::move(found);
    }
    return step("open_tree", sys::raw_clone_tree(null_.get(), "", false));
  }

  std::span<int> slots_;
  report& report_;
  sys::unique_fd masked_;
  sys::unique_fd null_;
  sys::unique_fd nodes_;
};

}  // namespace mortise::launch
