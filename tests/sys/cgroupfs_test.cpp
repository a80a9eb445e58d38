// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/cgroupfs.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>

#include <isolate/cgroup_scene.hpp>
#include <iterator>
#include <set>
#include <sstream>
#include <support/fork.hpp>
#include <thread>

using namespace mortise::sys;
using cgroup_scene::eventually;
using mortise::errno_of;
using mortise::message;

namespace {

/// A cgroup of this case's own in one hierarchy.
class own_cgroup {
 public:
  explicit own_cgroup(const cgroup_hierarchy& where) : path_(where.mount_point + '/' + cgroup_scene::unique_name()) {
    REQUIRE(make_cgroup(path_).ok());
  }
  own_cgroup(const own_cgroup&) = delete;
  own_cgroup& operator=(const own_cgroup&) = delete;
  ~own_cgroup() { remove_cgroups({path_}).IgnoreError(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool there() const { return ::access(path_.c_str(), F_OK) == 0; }

 private:
  std::string path_;
};

/// A child that is in cgroups before it does anything, and is killed and reaped at the end.
class member {
 public:
  template <class Callable>
  member(const std::vector<std::string>& cgroups, Callable callable) : pid_(::fork()) {
    if (pid_ != 0) return;
    for (const auto& each : cgroups)
      if (!write_file_at(AT_FDCWD, each + "/cgroup.procs", "0").ok()) ::_exit(1);
    callable();
    ::_exit(0);
  }
  explicit member(const std::vector<std::string>& cgroups) : member(cgroups, [] { ::pause(); }) {
    REQUIRE(eventually([&] { return lists(cgroups.back()); }));
  }
  member(const member&) = delete;
  member& operator=(const member&) = delete;
  ~member() { (void)end(SIGKILL); }

  [[nodiscard]] bool lists(const std::string& cgroup) const {
    const auto directory = open(cgroup, O_RDONLY | O_DIRECTORY);
    const auto found = directory.ok() ? cgroup_processes(directory->get()) : directory.status();
    return found.ok() && std::find(found->begin(), found->end(), pid_) != found->end();
  }
  /// The signal that ended it; `signal` is sent first unless it is 0.
  int end(int signal = 0) {
    if (pid_ == 0) return 0;
    if (signal != 0) ::kill(pid_, signal);
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

 private:
  pid_t pid_;
};

/// Disables a controller at the root of a version 2 tree again, if it was not enabled there before.
class enabled_at_root {
 public:
  enabled_at_root(const cgroup_hierarchy& tree, std::string name)
      : file_(tree.mount_point + "/cgroup.subtree_control"),
        name_(std::move(name)),
        before_(words(*read_file(file_)).contains(name_)) {}
  enabled_at_root(const enabled_at_root&) = delete;
  enabled_at_root& operator=(const enabled_at_root&) = delete;
  ~enabled_at_root() {
    if (!before_) write_file_at(AT_FDCWD, file_, '-' + name_).IgnoreError();
  }

 private:
  static std::set<std::string> words(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
  }
  std::string file_;
  std::string name_;
  bool before_;
};

/// Forks for as long as it lives, and so does every child.
[[noreturn]] void fork_bomb() {
  for (;;)
    if (::fork() < 0) ::usleep(1000);
}

/// The same, with at most a given number of processes of this user, which no other test has.
void bounded_fork_bomb(uid_t user) {
  const rlimit most{64, 64};  // of threads: under the thread sanitizer each process has two
  if (::setrlimit(RLIMIT_NPROC, &most) == 0 && ::setresuid(user, user, user) == 0) fork_bomb();
}

/// The version 1 hierarchy of a controller, or nullptr and a skipped case.
const cgroup_hierarchy* find_version_1(const char* controller) {
  const auto* const found = cgroup_scene::find_writable(controller);
  if (found == nullptr || found->version == 1) return found;
  support::skip(std::string("needs '") + controller + "' in a hierarchy of version 1");
  return nullptr;
}

/// A number of processes that says that the bomb is at its limit.
bool has_processes(const std::string& cgroup, std::size_t least) {
  const auto directory = open(cgroup, O_RDONLY | O_DIRECTORY);
  const auto found = directory.ok() ? cgroup_processes(directory->get()) : directory.status();
  return found.ok() && found->size() >= least;
}

const cgroup_hierarchy plain{1, {"cpu", "cpuacct"}, "/sys/fs/cgroup/cpu", "/", 0};

}  // namespace

TEST_CASE("cgroupfs: a line of mountinfo, with what is optional in it, becomes a hierarchy") {
  const auto v1 = parse_cgroup_mount(
      "34 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 - cgroup cgroup "
      "rw,cpu,cpuacct,clone_children");
  REQUIRE(v1);
  CHECK(v1->version == 1);
  CHECK(v1->controllers == std::vector<std::string>{"cpu", "cpuacct"});
  CHECK(v1->mount_point == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(v1->device == ::makedev(0, 31));
  CHECK(v1->has("cpu"));
  CHECK(!v1->has("cp"));
  const auto named = parse_cgroup_mount(
      "39 30 0:36 /a\\040b /sys/fs\\134x rw - cgroup systemd rw,xattr,release_agent=/lib/agent,name=systemd");
  REQUIRE(named);
  CHECK(named->controllers == std::vector<std::string>{"name=systemd"});
  CHECK(named->mount_point == "/sys/fs\\x");
  CHECK(named->root == "/a b");
  const auto v2 = parse_cgroup_mount("40 30 0:37 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate");
  REQUIRE(v2);
  CHECK(v2->version == 2);
  CHECK(v2->controllers.empty());
}

TEST_CASE("cgroupfs: other lines are none") {
  for (const std::string_view line :
       {"", "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw", "30 22 0:27 / / rw - cgroup", " - cgroup cgroup rw",
        "30 22 0:27 / / rw - cgroup3 cgroup rw", "30 22 x / / rw - cgroup cgroup rw",
        "30 22  / / rw - cgroup cgroup rw"})
    CHECK_MESSAGE(!parse_cgroup_mount(line), line);
}

TEST_CASE("cgroupfs: the caller's own cgroup is named from the mount point on") {
  const std::string text = "9:name=systemd:/s\n4:memory:/m/x\n1:cpu,cpuacct:/box/a:b\n0::/user.slice/y\n";
  CHECK(parse_own_cgroup(plain, text) == "/box/a:b");
  CHECK(parse_own_cgroup({2, {"memory"}, "/c", "/", 0}, text) == "/user.slice/y");
  CHECK(parse_own_cgroup({2, {}, "/c", "/user.slice", 0}, text) == "/y");
  CHECK(parse_own_cgroup({2, {}, "/c", "/user.slice/y", 0}, text) == "");
  CHECK(parse_own_cgroup({2, {}, "/c", "/user", 0}, text) == std::nullopt);
  CHECK(parse_own_cgroup({2, {}, "/c", "/../..", 0}, text) == std::nullopt);
  CHECK(parse_own_cgroup({1, {"pids"}, "/c", "/", 0}, text) == std::nullopt);
  CHECK(parse_own_cgroup({2, {}, "/c", "/", 0}, "0::/\n") == "");
  CHECK(parse_own_cgroup(plain, "") == std::nullopt);
}

TEST_CASE("cgroupfs: one value of a text of keys") {
  const std::string text = "low 0\nmax 12\noom 3\noom_kill 4\npopulated\n";
  CHECK(find_value(text, "max") == 12);
  CHECK(find_value(text, "oom_kill") == 4);
  CHECK(find_value(text, "oom_ki") == std::nullopt);
  CHECK(find_value(text, "populated") == std::nullopt);
  CHECK(find_value("", "") == std::nullopt);
}

TEST_CASE("cgroupfs: what is mounted here is found, each controller once") {
  std::vector<std::string> all;
  for (const auto& each : cgroup_hierarchies()) {
    CHECK(::access((each.mount_point + "/cgroup.procs").c_str(), F_OK) == 0);
    all.insert(all.end(), each.controllers.begin(), each.controllers.end());
  }
  if (all.empty()) return support::skip("needs a mounted cgroup hierarchy");
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("cgroupfs: a hierarchy that something else is mounted over is not found, a second mount of it only once") {
  if (support::missing_root() || cgroup_scene::find_writable("memory") == nullptr) return;
  const auto result = support::in_child({.namespaces = CLONE_NEWNS}, [] {
    const auto before = find_cgroup_hierarchies();
    const std::string point = before.front().mount_point;
    if (::mount(before.back().mount_point.c_str(), "/mnt", nullptr, MS_BIND, nullptr) != 0) return 2;
    if (find_cgroup_hierarchies().size() != before.size()) return 3;
    if (::umount2("/mnt", MNT_DETACH) != 0 || ::mount("none", point.c_str(), "tmpfs", 0, nullptr) != 0) return 4;
    return find_cgroup_hierarchies().size() == before.size() - 1 ? 0 : 5;
  });
  CHECK(result.code == 0);
}

TEST_CASE("cgroupfs: a cgroup is made with its parents, once, and removed with what is below it") {
  for (const char* const name : {"memory", "unified"}) {
    const auto* const where = cgroup_scene::find_writable(name);
    if (where == nullptr) return;
    const own_cgroup top(*where);
    const std::string path = top.path() + "/a/b/c";
    CHECK(make_cgroup(path).ok());
    const absl::Status again = make_cgroup(path);
    CHECK(again.code() == absl::StatusCode::kAlreadyExists);
    CHECK(message(again) == "make cgroup '" + path + "': File exists");
    CHECK(make_cgroup(top.path() + "/a/d").ok());
    CHECK(remove_cgroups({top.path()}).ok());
    CHECK(!top.there());
    CHECK(remove_cgroups({top.path()}).ok());
  }
}

TEST_CASE("cgroupfs: what is no cgroup is not removed, and the others are all the same") {
  const auto* const where = cgroup_scene::find_writable("memory");
  if (where == nullptr) return;
  const own_cgroup cgroup(*where);
  const absl::Status status = remove_cgroups({"/etc/passwd", cgroup.path()});
  CHECK(errno_of(status) == ENOTDIR);
  CHECK(message(status) == "remove cgroup '/etc/passwd': Not a directory");
  CHECK(!cgroup.there());
}

TEST_CASE("cgroupfs: members are killed and their cgroup removed, in either version and in cgroups below") {
  if (cgroup_scene::find_writable("memory") == nullptr) return;
  for (const auto& where : cgroup_hierarchies()) {
    if (where.has("cpuset") && where.version == 1) continue;  // takes no process before it is set up
    CAPTURE(where.mount_point);
    const own_cgroup top(where);
    REQUIRE(make_cgroup(top.path() + "/below").ok());
    member first({top.path()});
    member second({top.path() + "/below"});
    const absl::Status status = remove_cgroups({top.path()});
    CHECK_MESSAGE(status.ok(), status.ToString());
    CHECK(!top.there());
    CHECK(first.end() == SIGKILL);
    CHECK(second.end() == SIGKILL);
  }
}

TEST_CASE("cgroupfs: a frozen container is killed and removed too") {
  const auto* const where = find_version_1("freezer");
  if (where == nullptr) return;
  const own_cgroup cgroup(*where);
  member frozen({cgroup.path()});
  REQUIRE(write_file_at(AT_FDCWD, cgroup.path() + "/freezer.state", "FROZEN").ok());
  CHECK(remove_cgroups({cgroup.path()}).ok());
  CHECK(frozen.end() == SIGKILL);
}

TEST_CASE("cgroupfs: a version 2 cgroup is emptied without cgroup.kill, as before Linux 5.14") {
  const auto* const where = cgroup_scene::find_writable("unified");
  if (where == nullptr || support::missing_root()) return;
  const own_cgroup cgroup(*where);
  member bomb({cgroup.path()}, [] { bounded_fork_bomb(65532); });
  REQUIRE(eventually([&] { return has_processes(cgroup.path(), 20); }));
  const auto result = support::in_child({.namespaces = CLONE_NEWNS}, [&] {
    const std::string file = cgroup.path() + "/cgroup.kill";
    if (::mount(file.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, file.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return absl::InternalError("hide cgroup.kill");
    if (write_file_at(AT_FDCWD, file, "1").ok()) return absl::InternalError("cgroup.kill is still there");
    const bool dead = eventually([&] {
      kill_cgroups({cgroup.path()});
      return !has_processes(cgroup.path(), 1);
    });
    return dead ? absl::OkStatus() : absl::InternalError("some live");
  });
  CHECK_MESSAGE(result.ok(), result.text);
  CHECK(bomb.end() == SIGKILL);
}

TEST_CASE("cgroupfs: a fork bomb is killed where only one of its cgroups can stop it") {
  const auto* const counting = find_version_1("pids");
  const auto* const other = find_version_1("memory");
  if (counting == nullptr || other == nullptr) return;
  const own_cgroup pids(*counting);
  const own_cgroup memory(*other);
  REQUIRE(write_controls({1, pids.path()}, {{"pids.max", "60"}}).ok());
  member bomb({memory.path(), pids.path()}, fork_bomb);
  REQUIRE(eventually([&] { return has_processes(memory.path(), 20); }));
  const absl::Status status = remove_cgroups({memory.path(), pids.path()});
  CHECK_MESSAGE(status.ok(), status.ToString());
  CHECK(bomb.end() == SIGKILL);
}

TEST_CASE("cgroupfs: a fork bomb is killed where no controller can stop it") {
  const auto* const where = find_version_1("memory");
  if (where == nullptr || support::missing_root()) return;
  const own_cgroup cgroup(*where);
  member bomb({cgroup.path()}, [] { bounded_fork_bomb(65533); });
  REQUIRE(eventually([&] { return has_processes(cgroup.path(), 20); }));
  const absl::Status status = remove_cgroups({cgroup.path()});
  CHECK_MESSAGE(status.ok(), status.ToString());
  CHECK(bomb.end() == SIGKILL);
}

TEST_CASE("cgroupfs: a process out of reach is left alone, within bounded time, and so is the caller") {
  const auto* const where = find_version_1("memory");
  if (where == nullptr || support::missing_root()) return;
  const own_cgroup cgroup(*where);
  member outside({cgroup.path()});
  // From inside a pid namespace the member has no number: it is listed as 0, which kill(2) takes for "all of us".
  const auto result = support::in_child({.namespaces = CLONE_NEWPID | CLONE_NEWNS},
                                        [&] { return remove_cgroups({cgroup.path()}, std::chrono::milliseconds(30)); });
  CHECK(result.code == 1);
  CHECK(result.text == "remove cgroup '" + cgroup.path() +
                           "': Device or resource busy (a process in it does not die: its cgroup.procs says which)");
  CHECK(outside.lists(cgroup.path()));
}

TEST_CASE("cgroupfs: making in a parent that others remove at the same time succeeds") {
  const auto* const where = cgroup_scene::find_writable("unified");
  if (where == nullptr) return;
  const own_cgroup top(*where);
  std::vector<absl::Status> results(4);
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (auto& result : results) {
    threads.emplace_back([&result, &top, name = std::to_string(threads.size())] {
      const std::string parent = top.path() + "/shared";
      for (int round = 0; round < 100 && result.ok(); ++round) {
        result = make_cgroup(parent + '/' + name);
        if (result.ok()) result = remove_cgroups({parent + '/' + name});
        ::rmdir(parent.c_str());
      }
    });
  }
  for (auto& each : threads) each.join();
  for (const auto& each : results) CHECK_MESSAGE(each.ok(), each.ToString());
}

TEST_CASE("cgroupfs: a version 2 controller is enabled in every ancestor that needs it") {
  const auto* const where = cgroup_scene::find_writable("unified");
  if (where == nullptr) return;
  if (where->controllers.empty()) return support::skip("needs a controller in the version 2 tree");
  const std::string name = where->controllers.front();
  const enabled_at_root before(*where, name);
  const own_cgroup top(*where);
  const std::string path = top.path() + "/a/b";
  REQUIRE(make_cgroup(path).ok());
  const absl::Status enabled = enable_controller(*where, path, name);
  CHECK_MESSAGE(enabled.ok(), enabled.ToString());
  CHECK(read_file(path + "/cgroup.controllers")->find(name) != std::string::npos);
  CHECK(enable_controller(*where, path, name).ok());
  const absl::Status unknown = enable_controller(*where, path, "no-such");
  CHECK(unknown.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message(unknown) ==
        "enable cgroup controller 'no-such' for '" + where->mount_point + "': it is not in this hierarchy");
}

TEST_CASE("cgroupfs: a version 2 controller is not enabled below processes") {
  const auto* const where = cgroup_scene::find_writable("unified");
  if (where == nullptr) return;
  bool any = false;
  for (const std::string name : {"hugetlb", "memory", "pids", "cpu"}) {  // the last two are the kernel's threaded ones
    if (!where->has(name)) continue;
    any = true;
    CAPTURE(name);
    const enabled_at_root before(*where, name);
    const own_cgroup full(*where);
    const member inside({full.path()});
    const std::string below = full.path() + "/below";
    REQUIRE(make_cgroup(below).ok());
    const absl::Status busy = enable_controller(*where, below, name);
    CHECK(errno_of(busy) == EBUSY);
    CHECK(message(busy).find("move them to a cgroup below it") != std::string::npos);
    CHECK(read_file(full.path() + "/cgroup.subtree_control")->empty());
    const member newcomer({below});
  }
  if (!any) support::skip("needs a controller in the version 2 tree");
}

TEST_CASE("cgroupfs: control files are written in order, the optional ones where they are") {
  const auto* const where = cgroup_scene::find_writable("unified");
  if (where == nullptr) return;
  const own_cgroup cgroup(*where);
  const cgroup_directory directory{2, cgroup.path()};
  CHECK(write_controls(directory, {{"cgroup.max.depth", "3"}, {"no.such", "1", true}, {"cgroup.max.depth", "4"}}).ok());
  CHECK(*read_number(directory, "cgroup.max.depth") == 4);
  const absl::Status missing = write_controls(directory, {{"no.such", "1"}});
  CHECK(message(missing) == "set 'no.such' of cgroup '" + cgroup.path() + "' to '1': No such file or directory");
  CHECK(errno_of(write_controls(directory, {{"cgroup.max.depth", "x"}})) == EINVAL);
  CHECK(*find_number(directory, "no.such") == std::nullopt);
  CHECK(read_number(directory, "cgroup.max.descendants").status().code() == absl::StatusCode::kOutOfRange);
  CHECK(find_value(*read_file(cgroup.path() + "/cgroup.events"), "populated") == 0);
  const member inside({cgroup.path()});
  CHECK(find_value(*read_file(cgroup.path() + "/cgroup.events"), "populated") == 1);
}
