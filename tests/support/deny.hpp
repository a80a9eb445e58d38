// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Making system calls fail as an older kernel or a stricter sandbox would: a seccomp filter in a forked child.

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <span>
#include <support/fork.hpp>
#include <utility>
#include <vector>

namespace support {

namespace detail {
/// Of the caller's thread and all that it starts, for good.
inline void install_filter(std::vector<sock_filter>& program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "install seccomp filter");
}
/// What a call by one of these numbers comes to.
inline void answer_calls(std::vector<sock_filter>& program, std::span<const long> calls, std::uint32_t answer) {
  program.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)});
  for (const long call : calls) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
    program.push_back({BPF_RET | BPF_K, 0, 0, answer});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
}
}  // namespace detail

/// From now on the given calls of this process, and of all it starts, fail with `error`. There is no way back.
inline void deny_system_calls(const std::vector<long>& calls, int error) {
  std::vector<sock_filter> program;
  detail::answer_calls(program, calls, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA));
  // Root needs no no_new_privs to install a filter, and must not have it: it would change what exec gives.
  if (::geteuid() != 0) detail::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "set no_new_privs");
  detail::install_filter(program);
}

/// Whether this kernel is older than any that deny_fsconfig imitates, before Linux 6.5: mount(2) is all that overlays
/// have, though any string is taken before.
inline bool overlays_by_mount_only() {
  const mortise::sys::unique_fd context(static_cast<int>(mortise::sys::raw_fsopen("overlay")));
  const mortise::sys::unique_fd layer(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return mortise::sys::raw_fsconfig_fd(context.get(), "lowerdir+", layer.get()) == -EOPNOTSUPP;
}

/// Whether overlays take their layers one by one, by descriptor or by name: Linux 6.8.
inline bool overlays_take_single_layers() {
  const mortise::sys::unique_fd context(static_cast<int>(mortise::sys::raw_fsopen("overlay")));
  return !overlays_by_mount_only() && mortise::sys::raw_fsconfig_string(context.get(), "lowerdir+", "/") >= 0;
}

/// From now on fsconfig(2) refuses these commands as a kernel that does not know them: EINVAL, and EBADF of a
/// descriptor, since one of O_PATH is none to it. Root's only.
inline void deny_fsconfig(const std::vector<unsigned>& commands) {
  if (overlays_by_mount_only()) return;
  std::vector<sock_filter> program = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_fsconfig},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
                                      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args[1])}};
  for (const unsigned each : commands) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, each});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (each == FSCONFIG_SET_FD ? EBADF : EINVAL)});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  detail::install_filter(program);
}

/// Has the tracer stop this process, and its threads, before each of these calls. Root's only.
inline void stop_at_system_calls(std::span<const long> calls) {
  std::vector<sock_filter> program;
  detail::answer_calls(program, calls, SECCOMP_RET_TRACE);
  detail::install_filter(program);
}

/// Runs `callable` in a child in which the calls fail with `error`: deny({SYS_openat2}, ENOSYS, [] { ... }).
template <class Callable>
child_result deny(const std::vector<long>& calls, int error, Callable callable, const child_options& options = {}) {
  return in_child(options, [&] {
    deny_system_calls(calls, error);
    return callable();
  });
}

}  // namespace support
