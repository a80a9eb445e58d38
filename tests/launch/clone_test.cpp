// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/clone.hpp>

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <atomic>
#include <launch/plans.hpp>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

namespace op = mortise::model::op;
using mortise::model::plan;
using mortise::model::slot;
using mortise::model::stage;

namespace {

/// The name of the operation that a spawn failed in, and the errno.
std::string failed_operation(const plan& what) {
  const auto started = mortise::launch::clone{}.spawn(what);
  if (started.ok()) return "started";
  const auto payload = started.status().GetPayload(mortise::to_absl(mortise::launch::operation_payload));
  return mortise::concat(payload ? std::string(*payload) : "none", ": ", mortise::errno_of(started.status()));
}

/// The status lines of a child that begin so.
std::string status_of_child(const std::string& pattern) {
  return plans::output(plans::script("grep -E '^(" + pattern + ")' /proc/self/status | tr -d ' \\t'"));
}

}  // namespace

TEST_CASE("clone: runs a program and reaps it" * doctest::test_suite("unprivileged")) {
  const support::leak_snapshot before;
  CHECK(plans::play(plans::script("exit 7")) == std::pair(7, std::string()));
  CHECK(plans::play(plans::script("kill -TERM $$")).first == 128 + SIGTERM);
  CHECK(plans::output(plans::script("echo $PATH")) == "/bin:/usr/bin\n");
  CHECK(before.leaked() == "");
}

TEST_CASE("clone: a program that is not there or may not be run is told as execute" *
          doctest::test_suite("unprivileged")) {
  const support::leak_snapshot before;
  CHECK(failed_operation(plans::run({"/nowhere"})) == "execute: 2");
  CHECK(failed_operation(plans::run({"/etc/passwd"})) == "execute: 13");
  plan candidates;
  candidates.add(stage::execute,
                 op::execute{{"/nowhere/sh", "/etc/passwd/sh", "/etc/passwd", "/bin/sh"}, {"sh", "-c", "exit 3"}, {}});
  CHECK(plans::play(candidates).first == 3);
  CHECK(plans::play(plans::run({"/nowhere"})).second == "execute '/nowhere': execve: No such file or directory");
  CHECK(before.leaked() == "");
}

TEST_CASE("clone: each operation that fails is named, with errno, and leaves nothing") {
  if (support::missing_root()) return;
  const support::leak_snapshot before;
  struct row {
    stage when;
    mortise::model::operation what;
    const char* failure;
  };
  const std::vector<row> rows = {
      {stage::record, op::record_self{12345}, "record the process: write: Bad file descriptor"},
      {stage::identity, op::await_ids{}, "map user and group ids: await ids: this launcher cannot map them"},
      {stage::cgroup, op::join_cgroup{"/x/tasks"}, "join cgroup by '/x/tasks': open: No such file or directory"},
      {stage::host, op::clone_tree{"/nowhere", slot{1}}, "share '/nowhere': open_tree: No such file or directory"},
      {stage::host, op::new_filesystem{"nofs", slot{1}, {}, 0}, "mount nofs: fsopen: No such device"},
      {stage::host, op::new_filesystem{"tmpfs", slot{1}, {{"size", "x"}}, 0},
       "mount tmpfs: fsconfig: Invalid argument (the kernel says: tmpfs: Bad value for 'size')"},
      {stage::root, op::enter_root{slot{1}, "/nowhere"}, "enter root '/nowhere': open: No such file or directory"},
      {stage::root, op::attach{slot{1}, {slot::root, "/x"}}, "attach to '/x': open: Bad file descriptor"},
      {stage::root, op::new_overlay{{"/nowhere"}, "", "", "/mnt", slot{1}},
       "mount overlay of 1 layer: lowerdir+: No such file or directory"},
      {stage::masks, op::mask{{slot::root, "/x"}}, "mask '/x': open: Bad file descriptor"},
      {stage::seal, op::seal_root{1}, "seal the root: ro: mount_setattr: Bad file descriptor"},
      {stage::limits, op::set_limit{99, 1, 1}, "set resource limit 99: prlimit: Invalid argument"},
      {stage::directory, op::change_directory{"/x"}, "change to directory '/x': open: Bad file descriptor"},
      {stage::user, op::become{"0", "", {}}, "become user '0': /etc/passwd: Bad file descriptor"},
      {stage::privileges, op::set_capabilities{0, 1},
       "set capabilities: prctl PR_CAP_AMBIENT_RAISE: Operation not permitted"},
      {stage::stdio, op::redirect{12345, 1}, "redirect file descriptor 1: dup: Bad file descriptor"},
  };
  for (const row& each : rows) {
    plan what = plans::script("exit 0");
    what.clone_flags = CLONE_NEWNS;
    (void)what.new_slot();
    what.add(each.when, each.what);
    const auto [code, message] = plans::play(what);
    CHECK(message == each.failure);
    CHECK(code == -1);
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("clone: nothing of the caller's signals, mask or descriptors reaches the program" *
          doctest::test_suite("unprivileged")) {
  const auto seen = support::in_child([] {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_IGN);
    ::signal(SIGUSR1, [](int) {});
    sigset_t blocked;
    ::sigfillset(&blocked);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    for (int count = 0; count < 900; ++count) (void)!::open("/", O_RDONLY);
    return status_of_child("SigBlk|SigIgn|SigCgt") +
           plans::output(plans::script("for f in /proc/self/fd/*; do [ ${f##*/} -gt 10 ] && echo $f; done; true"));
  });
  CHECK(seen.text.starts_with("SigBlk:0000000000000000\nSigIgn:0000000000000000\n"));
  CHECK(seen.text.find("/proc") == std::string::npos);
}

TEST_CASE("clone: the caller's mask, umask, directory, dumpable flag and handlers stay") {
  if (support::missing_root()) return;
  const auto kept = support::in_child([] {
    ::umask(077);
    sigset_t some;
    ::sigemptyset(&some);
    ::sigaddset(&some, SIGUSR2);
    ::sigprocmask(SIG_SETMASK, &some, nullptr);
    ::signal(SIGUSR1, SIG_IGN);
    plan other_user = plans::run({"/bin/true"});
    other_user.add(stage::user, op::become{"1234", "1234", {}});
    std::get<op::execute>(const_cast<mortise::model::operation&>(other_user.at(stage::execute).front())).environment = {
        "HOME=/"};
    for (int count = 0; count < 3; ++count)
      if (const auto [code, why] = plans::play(other_user); code != 0) return "run: " + why;
    sigset_t after;
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    struct sigaction action{};
    ::sigaction(SIGUSR1, nullptr, &action);
    char directory[64] = {};
    (void)!::getcwd(directory, sizeof directory);
    return mortise::concat(::umask(0), ' ', ::sigismember(&after, SIGUSR2), ::sigismember(&after, SIGUSR1), ' ',
                           ::prctl(PR_GET_DUMPABLE), ' ', action.sa_handler == SIG_IGN ? "ignored" : "lost", ' ',
                           ::geteuid());
  });
  CHECK(kept.text == "63 10 1 ignored 0");
}

TEST_CASE("clone: works from many threads at once, and the caller stays dumpable") {
  if (support::missing_root()) return;
  const support::leak_snapshot before;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int each = 0; each < 16; ++each) {
    threads.emplace_back([&good, each] {
      plan what = plans::script("exit $CODE");
      if (each % 2 == 0) what.add(stage::user, op::become{"1234", "1234", {}});
      auto& execute = std::get<op::execute>(const_cast<mortise::model::operation&>(what.at(stage::execute).front()));
      execute.environment = {"HOME=/", mortise::concat("CODE=", each)};
      for (int count = 0; count < 20; ++count)
        if (plans::play(what).first == each) ++good;
    });
  }
  for (auto& each : threads) each.join();
  CHECK(good == 16 * 20);
  CHECK(::prctl(PR_GET_DUMPABLE) == 1);
  CHECK(before.leaked() == "");
}

TEST_CASE("clone: a large caller, and one that signals rain upon" * doctest::test_suite("unprivileged")) {
  constexpr std::size_t gibibyte = 1 << 30;
  void* const memory =
      ::mmap(nullptr, gibibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  CHECK(plans::play(plans::script("exit 5")).first == 5);
  ::munmap(memory, gibibyte);
  const auto rained_upon = support::in_child([] {
    static std::atomic<int> caught = 0;
    ::signal(SIGUSR1, [](int) { ++caught; });
    std::atomic<bool> done = false;
    const pthread_t self = ::pthread_self();
    std::thread rain([&] {
      while (!done) {
        ::pthread_kill(self, SIGUSR1);
        ::usleep(50);
      }
    });
    int good = 0;
    for (int count = 0; count < 50; ++count) good += plans::play(plans::script("exit 5")).first == 5;
    done = true;
    rain.join();
    return good == 50 && caught > 0;
  });
  CHECK(rained_upon.ok());
}

TEST_CASE("clone: a caller that ignores SIGCHLD still learns how its child ended" *
          doctest::test_suite("unprivileged")) {
  const auto ignored = support::in_child([] {
    ::signal(SIGCHLD, SIG_IGN);
    const auto missing = plans::play(plans::run({"/nowhere"}));
    const auto [code, why] = plans::play(plans::script("exit 9"));
    // Linux 6.15 keeps it; before, the message says what to do.
    const bool told = code == 9 || why.ends_with("is SIGCHLD ignored?)");
    return missing.second == "execute '/nowhere': execve: No such file or directory" && told;
  });
  CHECK(ignored.ok());
  const auto stolen = support::in_child([] {
    ::signal(SIGCHLD, [](int) {
      const int before = errno;
      while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
      errno = before;
    });
    auto started = mortise::launch::clone{}.spawn(plans::script("exit 9"));
    ::usleep(100'000);
    return started.ok() && started->end({}).ok() && started->kill(SIGTERM).ok();
  });
  CHECK(stolen.ok());
}

TEST_CASE("clone: kernels and filters without a call say which" * doctest::test_suite("unprivileged")) {
  const auto without = [](long call, int error, const plan& what) {
    return support::deny({call}, error, [&] { return plans::play(what).second; }).text;
  };
  CHECK(without(SYS_clone3, ENOSYS, plans::run({"/bin/true"})) ==
        "spawn process: clone3: Function not implemented (needs Linux 5.5, and no seccomp filter that hides clone3)");
  CHECK(without(SYS_setsid, EPERM, plans::run({"/bin/true"})) == "start a session: setsid: Operation not permitted");
  CHECK(without(SYS_close_range, ENOSYS, plans::run({"/bin/true"})) == "");
  CHECK(without(SYS_execve, EPERM, plans::run({"/bin/true"})) ==
        "execute '/bin/true': execve: Operation not permitted");
  plan mounting = plans::run({"/bin/true"});
  mounting.add(stage::host, op::new_filesystem{"tmpfs", mounting.new_slot(), {}, 0});
  CHECK(without(SYS_fsopen, ENOSYS, mounting) == "mount tmpfs: fsopen: Function not implemented");
  plan sharing = plans::run({"/bin/true"});
  sharing.add(stage::host, op::clone_tree{"/tmp", sharing.new_slot(), true, mortise::model::mount_flag::read_only});
  CHECK(without(SYS_open_tree, ENOSYS, sharing) == "share '/tmp': open_tree: Function not implemented");
  if (::geteuid() == 0) {
    sharing.clone_flags = CLONE_NEWNS;
    CHECK(without(SYS_mount_setattr, ENOSYS, sharing) == "share '/tmp': mount_setattr: Function not implemented");
  }
}

TEST_CASE("clone: what is used up is named" * doctest::test_suite("unprivileged")) {
  const auto full = support::in_child({.limits = {{RLIMIT_NOFILE, 64}}}, [] {
    while (::dup(0) >= 0) continue;
    return plans::play(plans::run({"/bin/true"})).second;
  });
  CHECK(full.text == "spawn process: clone3: Too many open files");
  const auto crowded = support::in_child(
      {.uid = ::geteuid() == 0 ? std::optional<uid_t>(4321) : std::nullopt, .limits = {{RLIMIT_NPROC, 1}}},
      [] { return plans::play(plans::run({"/bin/true"})).second; });
  CHECK(crowded.text ==
        "spawn process: clone3: Resource temporarily unavailable (a limit of processes is reached: RLIMIT_NPROC or a "
        "cgroup's pids.max)");
}

TEST_CASE("clone: without privileges, a namespace is refused with its remedy") {
  if (support::missing_root()) return;
  plan what = plans::run({"/bin/true"});
  what.clone_flags = CLONE_NEWNS;
  const auto refused = support::in_child({.uid = support::nobody}, [&] { return plans::play(what).second; });
  CHECK(refused.text == "spawn process: clone3: Operation not permitted (needs CAP_SYS_ADMIN, or a user namespace)");
}

TEST_CASE("clone: a child that is killed on the way is no success" * doctest::test_suite("unprivileged")) {
  plan what;
  what.add(stage::session, op::new_session{});
  CHECK(plans::play(what).second == "execute the plan: the child ended with code 127 before it executed a program");
}
