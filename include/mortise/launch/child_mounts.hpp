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
#include <mortise/launch/child_aufs.hpp>
#include <mortise/launch/report.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/path.hpp>
#include <span>
#include <string>
#include <utility>

namespace mortise::launch {

class child_mounts : public child_aufs {
 public:
  child_mounts(std::span<int> slots, report& to) : child_aufs(slots, to) {}

  using child_aufs::run;

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
      const sys::unique_fd node(static_cast<int>(copy_node(name, parent)));
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

  long run(const model::op::imitate_directory& o) {
    struct stat about{};
    if (::lstat(o.like.c_str(), &about) != 0) return step("stat", -errno);
    return make_entry(o.where, [&](int parent, const char* name) {
      long done = step("mkdir", sys::call(SYS_mkdirat, parent, name, 0700));
      if (done >= 0)
        done = step("chown", sys::call(SYS_fchownat, parent, name, about.st_uid, about.st_gid, AT_SYMLINK_NOFOLLOW));
      if (done >= 0) done = step("chmod", sys::call(SYS_fchmodat, parent, name, about.st_mode & 07777));
      const timespec times[] = {about.st_atim, about.st_mtim};
      return done < 0 ? done : step("utimensat", sys::call(SYS_utimensat, parent, name, times, AT_SYMLINK_NOFOLLOW));
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

  /// Before Linux 6.15 nothing is copied that is not attached: so the nodes' file system is for a moment, over a
  /// directory that is reached by its descriptor. What was attached once cannot be again; the next node gets another.
  long copy_node(const char* name, int directory) {
    long copy = sys::raw_clone_tree(nodes_.get(), name, false);
    if (copy != -EINVAL) return step("open_tree", copy);
    long done = step("move_mount", sys::raw_attach(nodes_.get(), directory));
    if (done < 0) return done;
    copy = step("open_tree", sys::raw_clone_tree(nodes_.get(), name, false));
    done = step("fchdir", sys::call(SYS_fchdir, nodes_.get()));
    if (done >= 0) done = step("umount", sys::call(SYS_umount2, ".", MNT_DETACH));
    if (done >= 0) done = step("chdir", sys::call(SYS_chdir, "/"));
    nodes_.reset();
    return done < 0 ? done : copy;
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

  sys::unique_fd masked_;
  sys::unique_fd null_;
  sys::unique_fd nodes_;
};

}  // namespace mortise::launch
