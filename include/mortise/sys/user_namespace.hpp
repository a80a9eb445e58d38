// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A user namespace without a process in it, for mounts that show files as its users': user_namespaces(7),
/// mount_setattr(2), "ID-mapped mounts".

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/mount.hpp>
#include <string>

namespace mortise::sys {

namespace detail {

/// A process in a new user namespace, which ends when its owner lets it go, or dies.
class namespace_holder {
 public:
  absl::Status start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    const unique_fd waits(ends[0]);
    release_.reset(ends[1]);
    const long child = call(SYS_clone, CLONE_NEWUSER, nullptr, nullptr, nullptr, nullptr);
    if (child == 0) {  // raw system calls only: other threads may have held locks
      call(SYS_close, ends[1]);
      char none = 0;
      call(SYS_read, ends[0], &none, 1);
      for (;;) call(SYS_exit_group, 0);
    }
    if (child < 0) return errno_error(static_cast<int>(-child), "make a process");
    process_ = static_cast<pid_t>(child);
    return absl::OkStatus();
  }
  namespace_holder() = default;
  ~namespace_holder() {
    release_.reset();
    while (process_ > 0 && ::waitpid(process_, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  namespace_holder(const namespace_holder&) = delete;
  namespace_holder& operator=(const namespace_holder&) = delete;

  [[nodiscard]] std::string file(const char* name) const { return concat("/proc/", process_, '/', name); }

 private:
  unique_fd release_;
  pid_t process_ = 0;
};

}  // namespace detail

/// `map` is what /proc/PID/uid_map and gid_map take.
/// Fails with: EPERM without CAP_SETUID and CAP_SETGID, or where user namespaces are turned off; ENOSPC at a limit of
/// /proc/sys/user. Leaves no process behind.
inline absl::StatusOr<unique_fd> make_user_namespace(const std::string& map) {
  detail::namespace_holder holder;
  absl::Status status = holder.start();
  for (const char* const each : {"uid_map", "gid_map"})
    if (status.ok()) status = write_file_at(AT_FDCWD, holder.file(each), map);
  if (!status.ok()) return annotate(status, "make user namespace");
  return open(holder.file("ns/user"), O_RDONLY);
}

/// A detached copy of the mount at a directory, with its ids mapped by a user namespace: Linux 5.12, and later for each
/// file system (mount_setattr(2) lists them).
inline absl::StatusOr<unique_fd> clone_mapped(const std::string& directory, int user_namespace) {
  unique_fd tree(static_cast<int>(raw_clone_tree(AT_FDCWD, directory.c_str(), false)));
  if (!tree) return errno_error(-tree.get(), concat("share '", directory, '\''));
  const long done = raw_map_ids(tree.get(), user_namespace);
  if (done < 0)
    return errno_error(static_cast<int>(-done), concat("map ids of '", directory, '\''),
                       done == -EINVAL ? "its file system, or this kernel, cannot" : "");
  return tree;
}

}  // namespace mortise::sys
