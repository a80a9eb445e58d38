// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the child does between clone and exec, as data: rootfs backends and isolators append operations,
/// launch/child.hpp interprets them with raw system calls. A plan is made, printed and tested without
/// privileges.

#include <array>
#include <cstdint>
#include <memory>
#include <mortise/model/id_range.hpp>
#include <mortise/model/stage.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::model {

/// A file descriptor that the child will hold, by number in its own table: operations fill one and use it.
enum class slot : std::uint16_t {
  root,  ///< the container's root directory, from stage::root's `enter_root` on
};

/// A path inside the directory that a slot holds, resolved so that it cannot leave it (sys/path.hpp).
struct place {
  slot base = slot::root;
  std::string path;
};

/// What `attach` makes when its target is missing.
enum class missing : std::uint8_t { is_error, make_directory, make_file };

/// MOUNT_ATTR_* values of mount_setattr(2), by the names that mount(8) uses.
namespace mount_flag {
inline constexpr std::uint64_t read_only = 0x1;
inline constexpr std::uint64_t no_suid = 0x2;
inline constexpr std::uint64_t no_dev = 0x4;
inline constexpr std::uint64_t no_exec = 0x8;
}  // namespace mount_flag

/// The operations. Paths without a `place` are the host's, and are used only before stage::root ends.
namespace op {

/// Copies /proc/self/stat (proc_pid_stat(5)) to a descriptor of the caller: who the process is, for recovery.
struct record_self {
  int to;
};
/// Writes /proc/self/{setgroups,uid_map,gid_map}: user_namespaces(7).
struct map_identity {
  std::string uid_map;
  std::string gid_map;
};
/// Waits until the launcher has mapped plan::ids, which takes privileges that the child no longer has.
struct await_ids {};
/// From here on what the child makes is the container's root's: before, it is a user whom the namespace does not know,
/// and whom the host's directories still let in.
struct become_root {};
/// Moves the child, single-threaded yet, into a cgroup of version 1 by writing "0" to its `tasks`.
struct join_cgroup {
  std::string tasks;  ///< the file's path
};
/// setsid(2): the caller's terminal is no longer the controlling one.
struct new_session {};
struct set_hostname {
  std::string name;
};
/// Brings the loopback interface of a new network namespace up: netdevice(7).
struct loopback_up {};
/// Stops mount events between the host and the new mount namespace, in both directions.
struct make_private {};
/// A detached copy of the host's mount tree at `source`, which is not followed if it is a link: open_tree(2).
struct clone_tree {
  std::string source;
  slot to;
  bool recursive = true;
  std::uint64_t flags = 0;  ///< mount_flag, set on all of the copy
};
/// Takes a detached tree that the parent has made; it stays the plan's (plan::keep).
struct adopt_tree {
  int from;
  slot to;
};
/// A new file system, detached: fsopen(2), fsconfig(2), fsmount(2).
struct new_filesystem {
  std::string type;
  slot to;
  std::vector<std::pair<std::string, std::string>> options;  ///< an empty value is a flag
  std::uint64_t flags = 0;
};
/// A new overlay, detached. Directories are absolute host paths, the lower ones top-most first. Without
/// `upper` it is read-only. `mount_point` is an empty host directory, used for a moment where the kernel can
/// make an overlay only by mount(2).
struct new_overlay {
  std::vector<std::string> lower;
  std::string upper;
  std::string work;
  std::string mount_point;
  slot to;
  bool user_xattrs = false;  ///< `userxattr`: overlay attributes in the user namespace of names
  bool is_volatile = true;   ///< `volatile`: no sync of the upper file system, for a root that is thrown away
  /// In place of `lower`: a detached tree, which others may use too. Where the kernel wants it attached (before Linux
  /// 6.15) it is so at `mount_point`, itself where the kernel cannot copy it either.
  std::optional<slot> lower_tree = {};
};
/// A new aufs, detached: aufs(5). Directories are absolute host paths, the lower ones top-most first. Without `upper`
/// it is read-only. `mount_point` is an empty host directory, used for a moment.
struct new_aufs {
  std::vector<std::string> lower;
  std::string upper;
  std::string mount_point;
  slot to;
};
/// Attaches a detached tree. Links in `target` are refused, or followed within the base where allowed.
struct attach {
  slot from;
  place target;
  missing otherwise = missing::make_directory;
  bool follow_links = false;
};
/// Attaches a detached tree at a directory of the host's tree, in the child's own mount namespace.
struct attach_on_host {
  slot from;
  std::string directory;
};
/// Attaches a detached tree at a host directory, makes it "/" by pivot_root(2), and lets the host's go.
struct enter_root {
  slot from;
  std::string mount_point;
};
/// A device, in a directory of our own making; `device` is a dev_t. It works where the file system around it has
/// devices forbidden, so that those which the container makes there do not.
struct make_node {
  place where;
  std::uint32_t mode;
  std::uint64_t device;
};
struct make_symlink {
  place where;
  std::string target;
};
struct make_directory {
  place where;
  std::uint32_t mode;
};
/// A new directory with the owner, mode and times of one of the host's.
struct imitate_directory {
  std::string like;
  place where;
};
/// Hides a path: a directory under an empty read-only tmpfs, a file under /dev/null. A missing path is fine.
struct mask {
  place where;
};
/// Makes the mount at a path read-only, or a bind of the path itself where it is no mount. Missing is fine.
struct make_read_only {
  place where;
};
/// mount_setattr(2) on the container's root mount.
struct seal_root {
  std::uint64_t flags;
};
/// prlimit(2); `resource` is RLIMIT_*.
struct set_limit {
  int resource;
  std::uint64_t soft;
  std::uint64_t hard;
};
/// The working directory, made with mode 0755 where it is missing.
struct change_directory {
  std::string path;
};
/// Drops every capability that is not in the set from the bounding set: capabilities(7).
struct keep_bounding {
  std::uint64_t capabilities;
};
/// Sets user, group and supplementary groups. Names are looked up in the container's own /etc/passwd and
/// /etc/group; a number is never looked up as a name (image-spec conversion.md, "Config.User"). An absolute path stands
/// for the owner of what lies there in the container's root, as in Appc images.
struct become {
  std::string user;   ///< name, number or path
  std::string group;  ///< name, number, path or empty: the user's primary group
  std::vector<std::uint32_t> additional_groups;
};
/// The thread's sets for a root user. Another user keeps only the ambient ones.
struct set_capabilities {
  std::uint64_t permitted;
  std::uint64_t ambient = 0;
};
/// PR_SET_NO_NEW_PRIVS.
struct forbid_new_privileges {};
/// dup2(2) to 0, 1 or 2; `from` is the caller's, at least 3.
struct redirect {
  int from;
  int to;
};
/// execve(2) of the first candidate that exists. HOME is set from /etc/passwd if `environment` lacks it.
struct execute {
  std::vector<std::string> candidates;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
};

}  // namespace op

using operation =
    std::variant<op::record_self, op::map_identity, op::await_ids, op::become_root, op::join_cgroup, op::new_session,
                 op::set_hostname, op::loopback_up, op::make_private, op::clone_tree, op::adopt_tree,
                 op::new_filesystem, op::new_overlay, op::new_aufs, op::attach, op::attach_on_host, op::enter_root,
                 op::make_node, op::make_symlink, op::make_directory, op::imitate_directory, op::mask,
                 op::make_read_only, op::seal_root, op::set_limit, op::change_directory, op::keep_bounding, op::become,
                 op::set_capabilities, op::forbid_new_privileges, op::redirect, op::execute>;

/// Operations by stage, and what clone3(2) is asked for.
class plan {
 public:
  /// CLONE_NEW* of the namespaces.
  std::uint64_t clone_flags = 0;
  /// What await_ids waits for, where the user namespace has ids that only a privileged launcher can give it.
  std::optional<id_range> ids;
  /// The directory of a version 2 cgroup in which the child is born (CLONE_INTO_CGROUP); empty for the caller's.
  std::string cgroup;

  void add(stage when, operation what) { stages_[static_cast<std::size_t>(when)].push_back(std::move(what)); }
  [[nodiscard]] const std::vector<operation>& at(stage when) const { return stages_[static_cast<std::size_t>(when)]; }

  /// Keeps what operations refer to, a descriptor of the parent's for one, until the plan goes.
  void keep(std::shared_ptr<const void> what) { kept_.push_back(std::move(what)); }

  /// A slot that no other operation uses.
  [[nodiscard]] slot new_slot() { return static_cast<slot>(slots_++); }
  [[nodiscard]] std::size_t slot_count() const { return slots_; }

 private:
  std::array<std::vector<operation>, stage_count> stages_;
  std::uint16_t slots_ = 1;  // slot::root
  std::vector<std::shared_ptr<const void>> kept_;
};

}  // namespace mortise::model
