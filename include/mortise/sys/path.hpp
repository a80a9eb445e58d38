// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reaching a path inside a directory that somebody else controls (a container's root, a layer) without
/// ever leaving it: openat2(2) with RESOLVE_IN_ROOT, or a walk by O_PATH descriptors where the kernel or
/// a seccomp filter has no openat2. Nothing here allocates in its raw form, so that the child may use it.

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstring>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <utility>

namespace mortise::sys {

/// What a lookup may pass through on its way.
enum class links : std::uint8_t {
  within_root,  ///< symbolic links are followed, as if the directory were "/"
  refused,      ///< any symbolic link fails the lookup with ELOOP
};

namespace detail {

/// The walk behind raw_open_in_root where openat2 is missing. It keeps one descriptor for each level, so
/// that ".." never asks the kernel for a parent that may have been moved out of the root.
class root_walk {
 public:
  explicit root_walk(int root) : root_(root) {}
  ~root_walk() {
    while (depth_ > 0) pop();
  }
  root_walk(const root_walk&) = delete;
  root_walk& operator=(const root_walk&) = delete;

  long open(const char* path, int flags, mode_t mode, links policy) {
    if (*path == 0) return -ENOENT;
    if (!push_text(path)) return -ENAMETOOLONG;
    for (;;) {
      char name[NAME_MAX + 1];
      bool last = false;
      bool slash = false;
      const long length = next_component(name, last, slash);
      if (length < 0) return length;
      if (length == 0) return reopen_current(flags);
      // A slash at the end asks for a directory, behind a link if need be.
      const long done = step(name, last, slash ? (flags & ~O_NOFOLLOW) | O_DIRECTORY : flags, mode, policy);
      if (done != again) return done;
    }
  }

 private:
  static constexpr long again = LONG_MIN;
  static constexpr int most_links = 40;
  static constexpr int most_depth = 512;

  [[nodiscard]] int current() const { return depth_ == 0 ? root_ : levels_[depth_ - 1]; }
  void pop() { ::close(levels_[--depth_]); }

  /// Puts text before what is still to be walked, which begins with a slash or is nothing.
  bool push_text(const char* text) {
    const std::size_t added = std::strlen(text);
    const std::size_t kept = std::strlen(rest_);
    if (added >= PATH_MAX || added + kept + 1 > sizeof rest_) return false;
    std::memmove(rest_ + added, rest_, kept + 1);
    std::memcpy(rest_, text, added);
    if (text[0] == '/')
      while (depth_ > 0) pop();
    return true;
  }

  /// Takes the next name; `last` if none follows, `slash` if only slashes do, which demand a directory.
  long next_component(char* name, bool& last, bool& slash) {
    const char* from = rest_;
    while (*from == '/') ++from;
    const std::size_t length = std::strcspn(from, "/");
    if (length > NAME_MAX) return -ENAMETOOLONG;
    std::memcpy(name, from, length);
    name[length] = 0;
    from += length;
    last = from[std::strspn(from, "/")] == 0;
    slash = last && *from == '/';
    std::memmove(rest_, from, std::strlen(from) + 1);
    return static_cast<long>(length);
  }

  [[nodiscard]] long reopen_current(int flags) const { return call(SYS_openat, current(), ".", flags | O_CLOEXEC, 0); }

  long step(const char* name, bool last, int flags, mode_t mode, links policy) {
    if (std::strcmp(name, ".") == 0) return last ? reopen_current(flags) : again;
    if (std::strcmp(name, "..") == 0) {
      if (depth_ > 0) pop();
      return last ? reopen_current(flags) : again;
    }
    const long found = call(SYS_openat, current(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (found == -ENOENT && last && (flags & O_CREAT) != 0)
      return call(SYS_openat, current(), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (found < 0) return found;
    unique_fd here(static_cast<int>(found));
    struct stat about{};
    if (::fstat(here.get(), &about) != 0) return -errno;
    const bool directory_wanted = !last || (flags & O_DIRECTORY) != 0;
    const bool link_wanted = last && ((flags & O_NOFOLLOW) != 0 || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL));
    if (S_ISLNK(about.st_mode) && !link_wanted) return follow(here.get(), policy);
    if (directory_wanted && !S_ISDIR(about.st_mode)) return -ENOTDIR;
    if (!last) return descend(std::move(here));
    // What was looked at is what is returned, or is opened without following what may have taken its place.
    if ((flags & O_PATH) != 0) return here.release();
    return call(SYS_openat, current(), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
  }

  long follow(int link, links policy) {
    if (policy == links::refused || ++followed_ > most_links) return -ELOOP;
    char target[PATH_MAX];
    const long length = call(SYS_readlinkat, link, "", target, sizeof target - 1);
    if (length < 0) return length;
    target[length] = 0;
    if (is_magic(link, target)) return -ELOOP;
    return push_text(target) ? again : -ENAMETOOLONG;
  }

  /// Whether a link of procfs leads to an open file and not to a name: such a one reads as a path of the host or as
  /// "pipe:[1]", the others ("self", "mounts") as a name beside it.
  static bool is_magic(int link, const char* target) {
    struct statfs about{};
    if (::fstatfs(link, &about) != 0 || about.f_type != PROC_SUPER_MAGIC) return false;
    return target[0] == '/' || target[0] == '(' || std::strchr(target, ':') != nullptr;
  }

  long descend(unique_fd directory) {
    if (depth_ == most_depth) return -ENAMETOOLONG;
    levels_[depth_++] = directory.release();
    return again;
  }

  int root_;
  int depth_ = 0;
  int followed_ = 0;
  int levels_[most_depth];
  char rest_[2 * PATH_MAX] = {};
};

}  // namespace detail

/// Opens `path` as if `root` were "/": a file descriptor, or -errno. Absolute paths, ".." and links stay
/// inside; magic links of procfs are never followed. O_CLOEXEC is always set.
inline long raw_open_in_root(int root, const char* path, int flags, mode_t mode = 0,
                             links policy = links::within_root) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  // openat2 takes no mode where nothing is made; O_TMPFILE is made of two bits, and one is O_DIRECTORY.
  how.mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (policy == links::refused ? RESOLVE_NO_SYMLINKS : 0U);
  long fd = -EAGAIN;
  for (int tries = 0; fd == -EAGAIN && tries < 32; ++tries)  // EAGAIN: a rename raced with "..": openat2(2)
    fd = call(SYS_openat2, root, path, &how, sizeof how);
  if (fd != -ENOSYS && fd != -EPERM && fd != -EAGAIN) return fd;
  if (fd == -EPERM) {  // a seccomp filter may say EPERM for calls it does not know; a file may say it too
    open_how probe{};
    probe.flags = O_PATH | O_CLOEXEC;
    const long works = call(SYS_openat2, root, ".", &probe, sizeof probe);
    if (works >= 0) {
      ::close(static_cast<int>(works));
      return fd;
    }
  }
  return detail::root_walk(root).open(path, flags, mode, policy);
}

/// mkdir -p of `path` within `root`, modes 0755; unless `directory`, its last component becomes an empty file
/// of mode 0644. What exists is left as it is. Returns 0 or -errno; directories made before a failure stay.
inline long raw_create_in_root(int root, const char* path, bool directory, links policy = links::within_root) {
  char prefix[PATH_MAX];
  const std::size_t length = std::strlen(path);
  if (length >= sizeof prefix) return -ENAMETOOLONG;
  for (std::size_t from = 0; from < length;) {
    while (from < length && path[from] == '/') ++from;
    std::size_t to = from;
    while (to < length && path[to] != '/') ++to;
    if (to == from) break;
    if (to - from > NAME_MAX) return -ENAMETOOLONG;
    std::memcpy(prefix, path, from);
    prefix[from] = 0;
    const unique_fd parent(
        static_cast<int>(raw_open_in_root(root, from == 0 ? "." : prefix, O_PATH | O_DIRECTORY, 0, policy)));
    if (!parent) return parent.get();
    char name[NAME_MAX + 1];
    std::memcpy(name, path + from, to - from);
    name[to - from] = 0;
    const long made = directory || to < length ? call(SYS_mkdirat, parent.get(), name, 0755)
                                               : call(SYS_mknodat, parent.get(), name, S_IFREG | 0644, 0);
    if (made < 0 && made != -EEXIST) return made;
    from = to;
  }
  return 0;
}

/// raw_open_in_root with a Status: "open '/etc/passwd' in the root: No such file or directory".
inline absl::StatusOr<unique_fd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0,
                                              links policy = links::within_root) {
  const long fd = raw_open_in_root(root, path.c_str(), flags, mode, policy);
  if (fd < 0) return errno_error(static_cast<int>(-fd), concat("open '", printable(path), "' in the root"));
  return unique_fd(static_cast<int>(fd));
}

}  // namespace mortise::sys
