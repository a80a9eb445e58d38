// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Control groups, versions 1 and 2, as files: which hierarchies are mounted, and making, filling, emptying and
/// removing the directories in them. cgroups(7), Documentation/admin-guide/cgroup-v2.rst.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/process.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::sys {

/// A mounted hierarchy. Each controller is in one hierarchy only: the version 2 tree, or one of version 1.
struct cgroup_hierarchy {
  unsigned version = 1;
  std::vector<std::string> controllers;  ///< "memory", ...; a hierarchy of version 1 without any has its "name=..."
  std::string mount_point;
  std::string root;  ///< which cgroup is at the mount point, as the caller's cgroup namespace names it
  dev_t device = 0;

  [[nodiscard]] bool has(std::string_view controller) const {
    return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
  }
};

/// A cgroup, by the host path of its directory.
struct cgroup_directory {
  unsigned version = 1;
  std::string path;
};

/// What to write to one control file. One that is optional may be missing on this kernel.
struct cgroup_control {
  std::string file;
  std::string text;
  bool optional = false;
  bool operator==(const cgroup_control&) const = default;
};

namespace detail {

/// Text of mountinfo, where blanks and backslashes are written as \ooo: proc_pid_mountinfo(5).
inline std::string unescape_mount_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto code = text.front() == '\\' ? parse_number<unsigned char>(text.substr(1, 3), 8) : std::nullopt;
    out.push_back(code ? static_cast<char>(*code) : text.front());
    text.remove_prefix(code ? 4 : 1);
  }
  return out;
}

/// The controllers among a version 1 mount's options; the rest says how it is mounted.
inline std::vector<std::string> controllers_of(std::string_view options) {
  static constexpr std::string_view others[] = {"rw",    "ro",          "noprefix", "clone_children", "cpuset_v2_mode",
                                                "xattr", "favordynmods"};
  std::vector<std::string> found;
  for (const std::string_view each : split(options, ',')) {
    const bool other = std::find(std::begin(others), std::end(others), each) != std::end(others);
    if (!other && (each.find('=') == std::string_view::npos || each.starts_with("name="))) found.emplace_back(each);
  }
  return found;
}

/// The words of a control file that is a list on one line.
inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (text.ends_with('\n')) text.remove_suffix(1);
  for (const std::string_view each : split(text, ' ')) words.emplace_back(each);
  return words;
}

/// What a threaded controller (cpu, cpuset, pids) makes of a cgroup when it is enabled in a parent with processes:
/// the kernel does that, and then lets no process in. cgroup-v2.rst, "Threads".
inline bool is_unusable(const std::string& path) {
  const auto type = read_file(path + "/cgroup.type");
  return type.ok() && type->starts_with("domain invalid");
}

inline std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace detail

/// The hierarchy of one line of /proc/self/mountinfo; nothing if another file system is mounted there. The
/// controllers of version 2 are not in the line.
inline std::optional<cgroup_hierarchy> parse_cgroup_mount(std::string_view line) {
  const std::size_t dash = line.find(" - cgroup");
  if (dash == std::string_view::npos) return std::nullopt;
  const auto mount = split(line.substr(0, dash), ' ');
  const auto system = split(line.substr(dash + 3), ' ');
  if (mount.size() < 6 || system.size() < 3) return std::nullopt;
  if (system[0] != "cgroup" && system[0] != "cgroup2") return std::nullopt;
  const auto numbers = split(mount[2], ':');
  const auto major = parse_number<unsigned>(numbers.empty() ? "" : numbers.front());
  const auto minor = parse_number<unsigned>(numbers.empty() ? "" : numbers.back());
  if (!major || !minor) return std::nullopt;
  const unsigned version = system[0] == "cgroup" ? 1 : 2;
  auto controllers = version == 1 ? detail::controllers_of(system.back()) : std::vector<std::string>{};
  return cgroup_hierarchy{version, std::move(controllers), detail::unescape_mount_text(mount[4]),
                          detail::unescape_mount_text(mount[3]), ::makedev(*major, *minor)};
}

/// The hierarchies that are mounted and visible now, each once.
inline std::vector<cgroup_hierarchy> find_cgroup_hierarchies() {
  std::vector<cgroup_hierarchy> found;
  const auto table = read_file("/proc/self/mountinfo", 64 << 20);
  if (!table.ok()) return found;
  for (const std::string_view line : split(*table, '\n')) {
    auto each = parse_cgroup_mount(line);
    struct stat about{};
    // Another device at the mount point: something else has been mounted over it.
    if (!each || ::stat(each->mount_point.c_str(), &about) != 0 || about.st_dev != each->device) continue;
    if (each->version == 2) {
      const auto controllers = read_file(each->mount_point + "/cgroup.controllers");
      if (controllers.ok()) each->controllers = detail::words_of(*controllers);
    }
    const auto same =
        std::find_if(found.begin(), found.end(), [&](const auto& known) { return known.device == each->device; });
    if (same == found.end()) {
      found.push_back(*std::move(each));
    } else if (same->root != "/" && each->root == "/") {
      *same = *std::move(each);
    }
  }
  return found;
}

/// The same, found once for the whole process.
inline const std::vector<cgroup_hierarchy>& cgroup_hierarchies() {
  static const std::vector<cgroup_hierarchy> found = find_cgroup_hierarchies();
  return found;
}

/// The cgroup that a text of /proc/PID/cgroup names for a hierarchy, as a path below its mount point: "" for
/// the mount point itself. Nothing if it lies outside of what is mounted.
inline std::optional<std::string> parse_own_cgroup(const cgroup_hierarchy& where, std::string_view text) {
  const std::string root = where.root == "/" ? std::string() : where.root;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const auto controllers = split(line.substr(first + 1, second - first - 1), ',');
    const bool here = where.version == 2 ? controllers.empty() && line.starts_with("0:")
                                         : std::any_of(controllers.begin(), controllers.end(),
                                                       [&](auto each) { return where.has(each); });
    if (!here) continue;
    std::string_view path = line.substr(second + 1);
    if (path == "/") path = {};
    if (!path.starts_with(root)) return std::nullopt;
    path.remove_prefix(root.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
    return std::string(path);
  }
  return std::nullopt;
}

/// Makes a cgroup that is not there yet, and its parents where they are missing. Fails with ALREADY_EXISTS.
inline absl::Status make_cgroup(const std::string& path) {
  // Whoever removes the last cgroup of a parent removes the parent too, perhaps between our two calls.
  constexpr int most_tries = 100;
  for (int tries = 0; ::mkdir(path.c_str(), 0755) != 0; ++tries) {
    if (errno != ENOENT || tries == most_tries) return errno_error(errno, concat("make cgroup '", path, '\''));
    MORTISE_RETURN_IF_ERROR(make_directories(detail::parent_of(path)));
  }
  return absl::OkStatus();
}

/// Makes a controller of version 2 available in a cgroup, by enabling it in as many of its ancestors as need it.
inline absl::Status enable_controller(const cgroup_hierarchy& tree, const std::string& path, const std::string& name) {
  MORTISE_ASSIGN_OR_RETURN(const std::string controllers, read_file(path + "/cgroup.controllers"));
  const auto available = detail::words_of(controllers);
  if (std::find(available.begin(), available.end(), name) != available.end()) return absl::OkStatus();
  const std::string what = concat("enable cgroup controller '", name, "' for '", path, '\'');
  if (path.size() <= tree.mount_point.size())
    return error(absl::StatusCode::kFailedPrecondition, concat(what, ": it is not in this hierarchy"));
  const std::string parent = detail::parent_of(path);
  MORTISE_RETURN_IF_ERROR(enable_controller(tree, parent, name));
  const std::string control = parent + "/cgroup.subtree_control";
  absl::Status done = write_file_at(AT_FDCWD, control, concat('+', name));
  if (done.ok() && detail::is_unusable(path)) {
    write_file_at(AT_FDCWD, control, concat('-', name)).IgnoreError();
    done = errno_error(EBUSY, what);
  }
  std::string_view hint;
  if (errno_of(done) == EBUSY)
    hint = "processes are in its parent itself: move them to a cgroup below it, as systemd's DelegateSubgroup= does";
  if (errno_of(done) == EACCES || errno_of(done) == EPERM)
    hint = "run as root, or under systemd-run --user --scope -p Delegate=yes";
  return done.ok() ? done : errno_error(errno_of(done), what, hint);
}

/// Writes control files in the order given: "set 'memory.max' of cgroup '/x' to '1': Invalid argument".
inline absl::Status write_controls(const cgroup_directory& cgroup, const std::vector<cgroup_control>& controls) {
  MORTISE_ASSIGN_OR_RETURN(const unique_fd directory, open(cgroup.path, O_PATH | O_DIRECTORY));
  for (const auto& each : controls) {
    const absl::Status done = write_file_at(directory.get(), each.file, each.text);
    if (done.ok() || (each.optional && errno_of(done) == ENOENT)) continue;
    return errno_error(errno_of(done),
                       concat("set '", each.file, "' of cgroup '", cgroup.path, "' to '", each.text, '\''));
  }
  return absl::OkStatus();
}

/// A control file that is one number.
inline absl::StatusOr<std::uint64_t> read_number(const cgroup_directory& cgroup, const std::string& file) {
  MORTISE_ASSIGN_OR_RETURN(std::string text, read_file(concat(cgroup.path, '/', file)));
  while (text.ends_with('\n')) text.pop_back();
  if (const auto value = parse_number<std::uint64_t>(text)) return *value;
  return error(absl::StatusCode::kOutOfRange,
               concat("read '", cgroup.path, '/', file, "': '", printable(text), "' is no number"));
}
/// The same, or nothing where this kernel has no such file.
inline absl::StatusOr<std::optional<std::uint64_t>> find_number(const cgroup_directory& cgroup,
                                                                const std::string& file) {
  const auto value = read_number(cgroup, file);
  if (errno_of(value.status()) == ENOENT) return std::nullopt;
  if (!value.ok()) return value.status();
  return *value;
}

/// One value of a text of lines "key number", such as cgroup.events, memory.events and cpu.stat.
inline std::optional<std::uint64_t> find_value(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t blank = line.find(' ');
    if (line.substr(0, blank) == key && blank != std::string_view::npos)
      return parse_number<std::uint64_t>(line.substr(blank + 1));
  }
  return std::nullopt;
}

/// The processes in a cgroup, not those in cgroups below it. 0 stands for one outside the caller's pid namespace.
inline absl::StatusOr<std::vector<pid_t>> cgroup_processes(int directory) {
  MORTISE_ASSIGN_OR_RETURN(const std::string text, read_file_at(directory, "cgroup.procs", 64 << 20));
  std::vector<pid_t> processes;
  for (const std::string_view line : split(text, '\n')) {
    if (const auto pid = parse_number<pid_t>(line)) processes.push_back(*pid);
  }
  return processes;
}

namespace detail {

/// Calls `each(directory)` for all cgroups below one, children before parents, and then for itself.
template <class Each>
void for_each_cgroup(int directory, const Each& each) {
  for_each_entry(directory, ".", [&](std::string_view name, unsigned char type) {
    if (type != DT_DIR) return absl::OkStatus();
    const auto child = open_at(directory, std::string(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (child.ok()) for_each_cgroup(child->get(), each);
    return absl::OkStatus();
  }).IgnoreError();
  each(directory);
}

/// Sends a signal to the processes of one cgroup and to no other that has got the number of one meanwhile: a
/// number that is still listed once we hold a descriptor of it is the descriptor's.
inline void signal_processes(int directory, int signal) {
  constexpr std::size_t most_at_once = 64;  // descriptors
  const auto listed = cgroup_processes(directory);
  for (std::size_t from = 0; listed.ok() && from < listed->size(); from += most_at_once) {
    std::vector<std::pair<pid_t, unique_fd>> opened;
    for (std::size_t each = from; each < std::min(listed->size(), from + most_at_once); ++each) {
      if ((*listed)[each] == 0) continue;  // beyond our reach
      auto process = open_process((*listed)[each]);
      if (process.ok()) opened.emplace_back((*listed)[each], *std::move(process));
    }
    const auto still = cgroup_processes(directory);
    for (const auto& [pid, process] : opened) {
      if (still.ok() && std::find(still->begin(), still->end(), pid) != still->end())
        signal_process(process.get(), signal).IgnoreError();
    }
  }
}

/// Writes to a control file where there is one.
inline bool try_write(int directory, const char* file, std::string_view text) {
  return write_file_at(directory, file, text).ok();
}

/// Removes the cgroups right below one, as far as they are empty.
inline void remove_children(int directory) {
  for_each_entry(directory, ".", [&](std::string_view name, unsigned char type) {
    if (type == DT_DIR) ::unlinkat(directory, std::string(name).c_str(), AT_REMOVEDIR);
    return absl::OkStatus();
  }).IgnoreError();
}

inline absl::StatusOr<unique_fd> open_cgroup(const std::string& path) {
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace detail

/// Sends SIGKILL to every process in the cgroups and in those below, which are good only for removal then. Does
/// not wait for their end; what escaped by forking, where the kernel offers nothing against it, is met by
/// another call.
inline void kill_cgroups(const std::vector<std::string>& paths) {
  std::vector<unique_fd> trees;
  bool held_still = false;
  for (const auto& each : paths) {
    auto tree = detail::open_cgroup(each);
    if (!tree.ok()) continue;
    // A quota would draw out their end: to die takes processor time.
    if (!detail::try_write(tree->get(), "cpu.max", "max")) detail::try_write(tree->get(), "cpu.cfs_quota_us", "-1");
    // cgroup.kill (Linux 5.14) takes the whole tree at once, forks in flight included.
    const bool killed = detail::try_write(tree->get(), "cgroup.kill", "1");
    if (!killed) trees.push_back(*std::move(tree));
    held_still = held_still || killed;
  }
  const auto everywhere = [&trees](const auto& each) {
    for (const auto& tree : trees) detail::for_each_cgroup(tree.get(), each);
  };
  everywhere([&held_still](int cgroup) {  // against fork bombs, by whichever of these the hierarchy has
    for (const auto& [file, text] : {std::pair("cgroup.freeze", "1"), {"pids.max", "0"}, {"freezer.state", "FROZEN"}})
      held_still = detail::try_write(cgroup, file, text) || held_still;
  });
  // A process killed makes room for two; one that is stopped keeps its place and makes no more.
  for (int round = 0; round < 4 && !held_still; ++round) {
    everywhere([](int cgroup) { detail::signal_processes(cgroup, SIGSTOP); });
  }
  everywhere([](int cgroup) { detail::signal_processes(cgroup, SIGKILL); });
  // Version 2 kills what is frozen; version 1 only once it thaws.
  everywhere([](int cgroup) { detail::try_write(cgroup, "freezer.state", "THAWED"); });
}

/// Kills what is in the cgroups and in those below, and removes them all. A missing one is success.
/// Fails with: EBUSY if a process has not died within `patience`, or another rmdir(2) failure; the rest is
/// removed all the same.
inline absl::Status remove_cgroups(std::vector<std::string> paths,
                                   std::chrono::milliseconds patience = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  absl::Status failure;
  for (std::chrono::microseconds pause(50);; pause = std::min(pause * 2, std::chrono::microseconds(10'000))) {
    std::string busy;
    std::erase_if(paths, [&](const std::string& path) {
      const int problem = ::rmdir(path.c_str()) == 0 ? 0 : errno;
      if (problem == 0 || problem == ENOENT || problem == ENODEV) return true;
      if (problem == EBUSY) {
        busy = path;
      } else {
        failure = first_error(std::move(failure), errno_error(problem, concat("remove cgroup '", path, '\'')));
      }
      return problem != EBUSY;
    });
    if (paths.empty()) return failure;
    if (std::chrono::steady_clock::now() >= deadline) {
      return first_error(std::move(failure), errno_error(EBUSY, concat("remove cgroup '", busy, '\''),
                                                         "a process in it does not die: its cgroup.procs says which"));
    }
    kill_cgroups(paths);
    for (const auto& path : paths) {
      if (const auto directory = detail::open_cgroup(path); directory.ok())
        detail::for_each_cgroup(directory->get(), detail::remove_children);
    }
    // The last exit is seen by rmdir(2) only a little later.
    ::usleep(static_cast<useconds_t>(pause.count()));
  }
}

}  // namespace mortise::sys
