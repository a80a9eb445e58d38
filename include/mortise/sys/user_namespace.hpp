// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A user namespace without a process in it, for mounts that show files as its users': user_namespaces(7),
/// mount_setattr(2), "ID-mapped mounts".

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/sharing_process.hpp>
#include <string>

namespace mortise::sys {

namespace detail {

/// A process in a new user namespace, which ends when its owner lets it go, or dies.
class namespace_holder {
 public:
  absl::Status start() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    const unique_fd waits(ends_[0]);
    release_.reset(ends_[1]);
    return process_.start(CLONE_NEWUSER, run, this);
  }
  namespace_holder() = default;
  ~namespace_holder() { release_.reset(); }
  namespace_holder(const namespace_holder&) = delete;
  namespace_holder& operator=(const namespace_holder&) = delete;

  [[nodiscard]] std::string file(const char* name) const { return concat("/proc/", process_.pid(), '/', name); }

 private:
  static void run(void* what) {
    const auto* const holder = static_cast<const namespace_holder*>(what);
    call(SYS_close, holder->ends_[1]);
    char none = 0;
    call(SYS_read, holder->ends_[0], &none, 1);
    for (;;) call(SYS_exit, 0);
  }

  int ends_[2] = {-1, -1};  ///< numbers only: of the process' copies, while the owner's are closed
  unique_fd release_;
  sharing_process process_;
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
