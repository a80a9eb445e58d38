// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The child between clone and exec: a small interpreter of a plan. It shares the caller's memory and makes
/// raw system calls only: no allocation, no lock, no Status; the report is its only way to speak.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <mortise/launch/child_mounts.hpp>
#include <mortise/launch/report.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/credentials.hpp>
#include <mortise/sys/path.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mortise::launch {

/// Memory that the child needs, allocated by the caller before clone and owned by it.
struct child_memory {
  static constexpr std::size_t most_account_file = 1 << 20;  ///< of /etc/passwd and /etc/group: CVE-2024-9676
  static constexpr std::size_t most_groups = 1024;

  explicit child_memory(const model::plan& plan) : slots(plan.slot_count(), -1) {
    for (const auto& each : plan.at(model::stage::execute)) {
      if (const auto* execute = std::get_if<model::op::execute>(&each)) prepare(*execute);
    }
  }

  std::vector<int> slots;
  int id_mapper = -1;  ///< by which await_ids asks
  std::vector<const char*> arguments;
  std::vector<const char*> environment;
  bool environment_has_home = false;
  std::array<char, 4096 + 8> home{'H', 'O', 'M', 'E', '=', '/', 0};
  // Untouched pages cost nothing: left uninitialised on purpose.
  std::unique_ptr<char[]> text = std::make_unique_for_overwrite<char[]>(most_account_file + 1);
  std::array<std::uint32_t, most_groups> groups{};

 private:
  void prepare(const model::op::execute& what) {
    for (const auto& each : what.arguments) arguments.push_back(each.c_str());
    for (const auto& each : what.environment) {
      environment.push_back(each.c_str());
      environment_has_home = environment_has_home || each.starts_with("HOME=");
    }
    if (!environment_has_home) environment.push_back(home.data());
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
  }
};

/// Runs a plan's operations in the child's order.
class child : private child_mounts {
 public:
  child(const model::plan& plan, child_memory& memory, report& to)
      : child_mounts(memory.slots, to), plan_(plan), memory_(memory), report_(to) {}

  /// Runs all stages up to and including `last`; returns 0, or -errno with the report filled in. After
  /// stage::execute it returns only on failure.
  long run_until(model::stage last) {
    const long closed = step("close_range", close_on_exec());
    if (closed < 0) return fail(closed);
    (void)sys::call(SYS_umask, 022);  // the child's own: what is made in the root does not depend on the caller's
    for (std::size_t index = 0; index <= static_cast<std::size_t>(last); ++index) {
      for (const auto& operation : plan_.at(static_cast<model::stage>(index))) {
        const long done = std::visit([this](const auto& what) { return run(what); }, operation);
        if (done < 0) return fail(done);
        ++report_.operation;
      }
    }
    return 0;
  }

 private:
  using child_mounts::run;

  long fail(long result) {
    report_.error = static_cast<int>(-result);
    return result;
  }

  /// Nothing of the caller's survives exec but what an operation redirects: CVE-2024-21626 and its kin.
  static long close_on_exec() {
    const long done = sys::call(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    if (done != -ENOSYS && done != -EINVAL) return done;  // the flag is Linux 5.11's
    rlimit most{};
    if (::getrlimit(RLIMIT_NOFILE, &most) != 0) return -errno;
    for (rlim_t fd = 3; fd < most.rlim_cur; ++fd) (void)sys::call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
    return 0;
  }

  /// Writes a whole text to a file of procfs.
  static long write_text(const char* path, std::string_view text) {
    const sys::unique_fd file(static_cast<int>(sys::call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0)));
    return file ? sys::call(SYS_write, file.get(), text.data(), text.size()) : file.get();
  }

  long run(const model::op::record_self& o) {
    char text[1024];
    const sys::unique_fd self(static_cast<int>(
        step("open /proc/self/stat", sys::call(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0))));
    if (!self) return self.get();
    const long got = step("read", sys::call(SYS_read, self.get(), text, sizeof text));
    return got < 0 ? got : step("write", sys::call(SYS_write, o.to, text, static_cast<std::size_t>(got)));
  }

  long run(const model::op::map_identity& o) {
    // Without CAP_SETGID outside, a group map is taken only once setgroups(2) is given up: user_namespaces(7).
    long done = step("write setgroups", write_text("/proc/self/setgroups", "deny"));
    if (done >= 0) done = step("write uid_map", write_text("/proc/self/uid_map", o.uid_map));
    if (done >= 0) done = step("write gid_map", write_text("/proc/self/gid_map", o.gid_map));
    setgroups_denied_ = true;
    return done;
  }

  long run(const model::op::await_ids&) {
    if (memory_.id_mapper < 0) return refuse("await ids", ENOSYS, "this launcher cannot map them");
    const char ask = 0;
    int answer = ECANCELED;  // what stays where the mapper was killed
    const long asked = step("ask for ids", sys::call(SYS_write, memory_.id_mapper, &ask, 1));
    if (asked < 0) return asked;
    const long got = step("await ids", sys::call(SYS_read, memory_.id_mapper, &answer, sizeof answer));
    return got < 0 ? got : -long{answer};
  }

  long run(const model::op::become_root&) {
    const long done = change_id("setresgid", sys::call(SYS_setresgid, 0, 0, 0));
    return done < 0 ? done : change_id("setresuid", sys::call(SYS_setresuid, 0, 0, 0));
  }

  long run(const model::op::join_cgroup& o) {
    const sys::unique_fd tasks(
        static_cast<int>(step("open", sys::call(SYS_openat, AT_FDCWD, o.tasks.c_str(), O_WRONLY | O_CLOEXEC, 0))));
    return tasks ? step("write", sys::call(SYS_write, tasks.get(), "0", 1)) : tasks.get();
  }

  long run(const model::op::new_session&) {
    // Caught signals are at their defaults (CLONE_CLEAR_SIGHAND); ignored ones are the caller's own business.
    // The C library's sigaction(2) hides two signals and, under a sanitizer, keeps a table in the memory that is
    // shared.
    struct kernel_action {
      std::uintptr_t handler, flags, restorer;
      std::uint64_t mask;
    };
    constexpr kernel_action standard{};
    for (int each = 1; each < NSIG; ++each) {
      kernel_action action{};
      const long got = sys::call(SYS_rt_sigaction, each, nullptr, &action, sizeof action.mask);
      if (got == 0 && action.handler == ignored)
        (void)sys::call(SYS_rt_sigaction, each, &standard, nullptr, sizeof action.mask);
    }
    return step("setsid", sys::call(SYS_setsid));
  }

  long run(const model::op::set_hostname& o) {
    return step("sethostname", sys::call(SYS_sethostname, o.name.c_str(), o.name.size()));
  }

  long run(const model::op::loopback_up&) {
    const sys::unique_fd socket(
        static_cast<int>(step("socket", sys::call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))));
    if (!socket) return socket.get();
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    return step("ioctl SIOCSIFFLAGS", sys::call(SYS_ioctl, socket.get(), SIOCSIFFLAGS, &request));
  }

  long run(const model::op::set_limit& o) {
    const rlimit limit{o.soft, o.hard};
    return step("prlimit", sys::call(SYS_prlimit64, 0, o.resource, &limit, nullptr));
  }

  long run(const model::op::change_directory& o) {
    const char* const path = o.path.c_str();
    const int root = at(model::slot::root);
    long opened = sys::raw_open_in_root(root, path, O_PATH | O_DIRECTORY);
    if (opened == -ENOENT) {
      const long made = step("mkdir", sys::raw_create_in_root(root, path, true));
      if (made < 0) return made;
      opened = sys::raw_open_in_root(root, path, O_PATH | O_DIRECTORY);
    }
    const sys::unique_fd directory(static_cast<int>(step("open", opened)));
    return directory ? step("fchdir", sys::call(SYS_fchdir, directory.get())) : directory.get();
  }

  long run(const model::op::keep_bounding& o) {
    for (unsigned each = 0; each < 64; ++each) {
      if ((o.capabilities >> each & 1) != 0) continue;
      const long done = step("prctl PR_CAPBSET_DROP", sys::call(SYS_prctl, PR_CAPBSET_DROP, each, 0, 0, 0));
      if (done == -EINVAL) return 0;  // past the last capability of this kernel
      if (done < 0) return done;
    }
    return 0;
  }

  long run(const model::op::become& o) {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::size_t groups = 0;
    const long found = look_up(o, uid, gid, groups);
    if (found < 0) return found;
    long done = set_groups(o, gid, groups);
    if (done >= 0) done = change_id("setresgid", sys::call(SYS_setresgid, gid, gid, gid));
    // Capabilities outlive the change until stage::privileges has said which are to be ambient.
    if (done >= 0) done = step("prctl PR_SET_KEEPCAPS", sys::call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0));
    if (done >= 0) done = change_id("setresuid", sys::call(SYS_setresuid, uid, uid, uid));
    is_root_ = uid == 0;
    return done;
  }

  long run(const model::op::set_capabilities& o) {
    const std::uint64_t permitted = is_root_ ? o.permitted : o.ambient;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    for (unsigned half = 0; half < 2; ++half) {
      data[half].permitted = data[half].effective = static_cast<std::uint32_t>(permitted >> (32 * half));
      data[half].inheritable = static_cast<std::uint32_t>(o.ambient >> (32 * half));
    }
    const long done = step("capset", sys::call(SYS_capset, &header, data));
    if (done < 0) return done;
    for (unsigned each = 0; each < 64; ++each) {
      if ((o.ambient >> each & 1) == 0) continue;
      const long raised =
          step("prctl PR_CAP_AMBIENT_RAISE", sys::call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0));
      if (raised < 0) return raised;
    }
    return 0;
  }

  long run(const model::op::forbid_new_privileges&) {
    return step("prctl PR_SET_NO_NEW_PRIVS", sys::call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  }

  long run(const model::op::redirect& o) { return step("dup", sys::call(SYS_dup3, o.from, o.to, 0)); }

  long run(const model::op::execute& o) {
    const sigset_t none{};
    const long unblocked = step("sigprocmask", sys::call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, NSIG / 8));
    if (unblocked < 0) return unblocked;
    report_.executing = true;
    long problem = step("execve", -ENOENT);
    for (const auto& candidate : o.candidates) {
      const long result = step(
          "execve", sys::call(SYS_execve, candidate.c_str(), memory_.arguments.data(), memory_.environment.data()));
      // As execvp(3): go on past what is not there, remember what may not be run, stop at all else.
      if (result == -EACCES) problem = result;
      if (result != -ENOENT && result != -ENOTDIR && result != -EACCES) return result;
    }
    return problem;
  }

  /// A regular file of the container's, at most a mebibyte of it, as text; empty where there is none.
  long read_account_file(const char* path, std::string_view& text) {
    text = {};
    const long opened = sys::raw_open_in_root(at(model::slot::root), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (opened == -ENOENT || opened == -ENOTDIR) return 0;
    const sys::unique_fd file(static_cast<int>(step(path, opened)));
    if (!file) return file.get();
    struct stat about{};
    if (::fstat(file.get(), &about) != 0) return step(path, -errno);
    if (!S_ISREG(about.st_mode)) return refuse(path, EINVAL, "it is no regular file");
    std::size_t length = 0;
    while (length <= child_memory::most_account_file) {
      const long got = step(path, sys::call(SYS_read, file.get(), memory_.text.get() + length,
                                            child_memory::most_account_file + 1 - length));
      if (got < 0) return got;
      if (got == 0) break;
      length += static_cast<std::size_t>(got);
    }
    if (length > child_memory::most_account_file) return refuse(path, EFBIG, "it is larger than a mebibyte");
    text = {memory_.text.get(), length};
    return 0;
  }

  /// A user or group as Appc may name it: by the absolute path of what belongs to it.
  long look_at_owned(const char* name, const std::string& path, struct stat& about) {
    const sys::unique_fd file(
        static_cast<int>(step(name, sys::raw_open_in_root(at(model::slot::root), path.c_str(), O_PATH))));
    if (!file) return file.get();
    return ::fstat(file.get(), &about) == 0 ? 0 : step(name, -errno);
  }

  /// Fills in the numbers of `become`, and HOME. An unknown name is ESRCH, an id out of range ERANGE.
  long look_up(const model::op::become& o, std::uint32_t& uid, std::uint32_t& gid, std::size_t& groups) {
    bool is_number = !o.user.empty() && o.user.find_first_not_of("0123456789") == std::string::npos;
    auto number = sys::parse_id(o.user);
    if (is_number && !number) return refuse("user", ERANGE, "its number is out of range");
    if (o.user.starts_with('/')) {
      struct stat about{};
      if (const long looked = look_at_owned("user", o.user, about); looked < 0) return looked;
      number = about.st_uid;
      is_number = true;
    }
    std::string_view text;
    if (!is_number || o.group.empty() || !memory_.environment_has_home) {
      const long read = read_account_file("/etc/passwd", text);
      if (read < 0) return read;
    }
    const auto entry = sys::find_passwd(
        text, [&](const sys::passwd_entry& each) { return is_number ? each.uid == *number : each.name == o.user; });
    if (!is_number && !entry) return refuse("user", ESRCH, "the container's /etc/passwd has no such name");
    uid = is_number ? *number : entry->uid;
    gid = entry ? entry->gid : 0;
    if (entry && !entry->home.empty() && entry->home.size() < memory_.home.size() - 6) {
      std::memcpy(memory_.home.data() + 5, entry->home.data(), entry->home.size());
      memory_.home[5 + entry->home.size()] = 0;
    }
    return look_up_groups(o, is_number, gid, groups);
  }

  long look_up_groups(const model::op::become& o, bool user_is_number, std::uint32_t& gid, std::size_t& groups) {
    const bool is_number = !o.group.empty() && o.group.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) {
      const auto number = sys::parse_id(o.group);
      if (!number) return refuse("group", ERANGE, "its number is out of range");
      gid = *number;
    }
    const bool by_owned = o.group.starts_with('/');
    if (by_owned) {
      struct stat about{};
      if (const long looked = look_at_owned("group", o.group, about); looked < 0) return looked;
      gid = about.st_gid;
    }
    const bool by_name = !o.group.empty() && !is_number && !by_owned;
    const bool memberships = o.group.empty() && !user_is_number;
    if (by_name || memberships) {
      std::string_view text;
      const long read = read_account_file("/etc/group", text);
      if (read < 0) return read;
      if (by_name) {
        const auto found = sys::find_group(text, o.group);
        if (!found) return refuse("group", ESRCH, "the container's /etc/group has no such name");
        gid = *found;
      } else {
        groups = sys::find_memberships(text, o.user, std::span(memory_.groups).subspan(1), 0);
      }
    }
    return 0;
  }

  /// The primary group is always among the supplementary ones, and none of the caller's is: CVE-2022-36109.
  long set_groups(const model::op::become& o, std::uint32_t gid, std::size_t found) {
    if (setgroups_denied_) {
      if (found == 0 && o.additional_groups.empty()) return 0;
      return refuse("setgroups", EPERM, "a user namespace without privileges has no supplementary groups");
    }
    memory_.groups[0] = gid;
    std::size_t count = 1 + found;
    for (const std::uint32_t each : o.additional_groups) {
      if (count == memory_.groups.size()) return step("setgroups", -E2BIG);
      memory_.groups[count++] = each;
    }
    return change_id("setgroups", sys::call(SYS_setgroups, count, memory_.groups.data()));
  }

  /// The kernel says EINVAL of an id that its user namespace does not map, and of nothing else.
  long change_id(const char* name, long result) {
    if (result != -EINVAL) return step(name, result);
    return refuse(name, EINVAL, "the container's user namespace has no such id");
  }

  static constexpr std::uintptr_t ignored = 1;  ///< SIG_IGN, as a number

  const model::plan& plan_;
  child_memory& memory_;
  report& report_;
  bool setgroups_denied_ = false;
  bool is_root_ = true;
};

}  // namespace mortise::launch
