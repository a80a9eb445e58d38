// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a case must not leave behind: mounts, cgroup directories, child processes, open file descriptors.
///
///     const support::leak_snapshot before;
///     ...
///     CHECK(before.leaked() == "");

#include <dirent.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <utility>

namespace support {

class leak_snapshot {
 public:
  /// `cgroups`: only cgroup directories with this in their path count, so that the host's own may come and go.
  explicit leak_snapshot(std::string cgroups = "mortise") : cgroup_part_(std::move(cgroups)), before_(take()) {}

  /// What is there now and was not before, a line each; empty if nothing is.
  [[nodiscard]] std::string leaked() const {
    std::string text;
    for (const auto& [what, detail] : take())
      if (!before_.contains(what)) text += what + detail + '\n';
    return text;
  }

 private:
  /// What tells a thing from others, and what else is good to read of it.
  using things = std::map<std::string, std::string>;

  [[nodiscard]] things take() const {
    things found;
    add_mounts(found);
    add_cgroups("/sys/fs/cgroup", found);
    add_children(found);
    add_descriptors(found);
    return found;
  }

  /// The fifth field of a mountinfo line is the mount point; what is stacked there counts by its mount ID too.
  static void add_mounts(things& found) {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream fields(line);
      std::string id, parent, device, root, point;
      fields >> id >> parent >> device >> root >> point;
      found.emplace("mount " + id + " at " + point, "");
    }
  }

  void add_cgroups(const std::string& directory, things& found) const {
    DIR* const stream = ::opendir(directory.c_str());
    if (stream == nullptr) return;
    while (const dirent* const entry = ::readdir(stream)) {
      if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
      const std::string path = directory + '/' + entry->d_name;
      if (path.find(cgroup_part_) != std::string::npos) found.emplace("cgroup " + path, "");
      add_cgroups(path, found);
    }
    ::closedir(stream);
  }

  /// A child is the same one before and after it takes its program's name, which it does after execve(2) has closed
  /// what told its parent.
  static void add_children(things& found) {
    for_each_name("/proc/self/task", [&found](const std::string& thread) {
      std::ifstream children("/proc/self/task/" + thread + "/children");
      for (std::string pid; children >> pid;) found.emplace("child process " + pid, ' ' + command_of(pid));
    });
  }
  static std::string command_of(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
  }

  static void add_descriptors(things& found) {
    for_each_name("/proc/self/fd", [&found](const std::string& fd) {
      char target[4096];
      const ssize_t length = ::readlink(("/proc/self/fd/" + fd).c_str(), target, sizeof target);
      if (length < 0) return;
      const std::string what(target, static_cast<std::size_t>(length));
      const std::string listing = "/proc/" + std::to_string(::getpid()) + "/fd";
      if (what != listing) found.emplace("file descriptor " + fd + " of " + what, "");
    });
  }

  template <class Each>
  static void for_each_name(const char* directory, Each each) {
    DIR* const stream = ::opendir(directory);
    if (stream == nullptr) return;
    while (const dirent* const entry = ::readdir(stream))
      if (entry->d_name[0] != '.') each(entry->d_name);
    ::closedir(stream);
  }

  std::string cgroup_part_;
  things before_;
};

}  // namespace support
