// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The facts that isolators tell each other. A fact is a type with a value; exactly one isolator of a
/// container gives it, and is prepared before all that need or want it.

#include <cstdint>

namespace mortise::fact {

/// The container has a user namespace; ids outside it are the caller's.
struct user_map {
  std::uint32_t host_uid;
  std::uint32_t host_gid;
};
/// The user namespace has a range of the host's ids, which only a privileged launcher can give it.
struct mapped_ids {};
/// The container has its own mount table, cut off from the host's.
struct private_mounts {};
/// The container's processes see only each other.
struct private_pids {};
/// The container has its own network stack.
struct private_network {};
/// The container has its own System V IPC and POSIX message queues.
struct private_ipc {};
/// The container has its own host and domain name.
struct private_names {};
/// The container has /proc, /sys and /dev of its own.
struct standard_filesystems {};

}  // namespace mortise::fact
