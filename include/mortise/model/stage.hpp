// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The order in which the child does things between clone and exec.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mortise::model {

/// Isolators put each operation into a stage; within one stage operations keep the order in which they were
/// added, which is the order of the isolators' facts. The enumerators' order is the child's order.
enum class stage : std::uint8_t {
  record,       ///< first: from here on whoever finds the state directory finds the process
  identity,     ///< before all else that needs privilege: a user namespace grants it only once ids are mapped
  cgroup,       ///< before anything that allocates: limits hold from the first instruction that counts
  session,      ///< before a terminal or a signal of the caller can reach the child
  network,      ///< needs only the new namespace; early, so that its errors come before costly mounts
  host,         ///< the last look at the host's tree: everything shared from it is taken here, by descriptor
  root,         ///< the new root is built detached, attached once, and entered: no host path exists after it
  filesystems,  ///< /proc, /sys and /dev of the container's own, on the root just entered
  volumes,      ///< after the standard filesystems, so that a volume may lie below /dev/shm and the like
  masks,        ///< after every mount, so that nothing is mounted over a mask
  seal,         ///< the root becomes read-only once nothing has to be created in it any more
  limits,       ///< resource limits: before privileges to raise them are gone
  directory,    ///< the working directory is made with the container's root rights, before they are dropped
  bounding,     ///< needs CAP_SETPCAP, which the next stages take away
  user,         ///< needs CAP_SETUID and CAP_SETGID; after everything that needs root
  privileges,   ///< capability sets and no_new_privs: after the change of user, which clears or needs them
  filter,       ///< system call filter last: it need not admit any of the set-up above
  stdio,        ///< only now do the container's descriptors take the place of 0, 1 and 2
  execute,      ///< does not return
};

inline constexpr std::size_t stage_count = static_cast<std::size_t>(stage::execute) + 1;

constexpr std::string_view name_of(stage which) {
  constexpr std::string_view names[stage_count] = {"record",     "identity", "cgroup",      "session",  "network",
                                                   "host",       "root",     "filesystems", "volumes",  "masks",
                                                   "seal",       "limits",   "directory",   "bounding", "user",
                                                   "privileges", "filter",   "stdio",       "execute"};
  return names[static_cast<std::size_t>(which)];
}

}  // namespace mortise::model
