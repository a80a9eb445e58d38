// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/cgroup.hpp>

#include <doctest/doctest.h>

#include <isolate/cgroup_scene.hpp>
#include <mortise/detail/compose.hpp>
#include <mortise/isolate/cpu.hpp>
#include <mortise/isolate/memory.hpp>
#include <mortise/isolate/pids.hpp>
#include <support/fork.hpp>
#include <support/temporary.hpp>
#include <thread>

using mortise::message;
using mortise::isolate::cgroup;
using mortise::isolate::cpu;
using mortise::isolate::memory;
using mortise::isolate::pids;
using namespace mortise::literals;
using cgroup_scene::existing;
namespace sys = mortise::sys;

namespace {

using composition = mortise::detail::composition<mortise::detail::type_list<memory, cpu, pids, cgroup>>;
using settings = composition::settings_type;

constexpr std::string_view remedy = "(run as root, or under systemd-run --user --scope -p Delegate=yes)";

/// A container of all four isolators.
struct box {
  mortise::container_id id = mortise::container_id::random();
  mortise::model::plan plan;
  cgroup_scene::records records;
  composition isolators;

  absl::Status prepare(const settings& with) { return isolators.prepare(id, with, plan, records); }
  absl::StatusOr<mortise::launch::process> spawn(std::vector<std::string> arguments) {
    cgroup_scene::run_busybox(plan, std::move(arguments));
    return mortise::launch::clone{}.spawn(plan);
  }
};

settings limits(const std::string& parent) {
  return {cgroup::parent(parent), memory::limit(64_MiB), cpu::cpus(1.5), pids::limit(100)};
}

/// Runs a command in a box and returns what it printed.
std::string output_of(box& in, std::vector<std::string> arguments) {
  auto ends = sys::make_pipe();
  REQUIRE(ends.ok());
  in.plan.add(mortise::model::stage::stdio, mortise::model::op::redirect{ends->write.get(), 1});
  auto process = in.spawn(std::move(arguments));
  REQUIRE_MESSAGE(process.ok(), process.status().ToString());
  ends->write.reset();
  auto text = sys::read_all(ends->read.get(), 1 << 20);
  CHECK(process->wait()->success());
  REQUIRE(text.ok());
  return *std::move(text);
}

absl::Status recover(std::string_view record, unsigned version = cgroup::version) {
  return composition::recover("cgroup", version, record).second;
}

/// Skips unless the three controllers can be used.
bool missing_controllers() {
  for (const char* const each : {"memory", "cpu", "pids"})
    if (cgroup_scene::find_writable(each) == nullptr) return true;
  return support::missing_root();
}

}  // namespace

TEST_CASE("cgroup: the process is in the container's cgroups before it runs, and in no other") {
  if (missing_controllers()) return;
  const cgroup_scene::parent parent;
  box container;
  const absl::Status prepared = container.prepare(limits(parent.path()));
  REQUIRE_MESSAGE(prepared.ok(), prepared.ToString());
  const std::string path = parent.path() + '/' + container.id.text();
  const std::string text = output_of(container, {"cat", "/proc/self/cgroup"});
  std::size_t inside = 0;
  for (const auto& each : sys::cgroup_hierarchies()) {
    const bool ours = each.version == 2 || each.has("memory") || each.has("cpu") || each.has("pids");
    const auto own = sys::parse_own_cgroup(each, text);
    REQUIRE(own);
    CHECK((*own == path) == ours);
    inside += ours ? 1 : 0;
  }
  CHECK(existing(path).size() == inside);
  const absl::Status released = container.isolators.release();
  CHECK_MESSAGE(released.ok(), released.ToString());
  CHECK(existing(path).empty());
}

TEST_CASE("cgroup: a process in a user namespace of its own enters the cgroups as well") {
  if (missing_controllers() || support::missing_user_namespaces()) return;
  const cgroup_scene::parent parent;
  box container;
  REQUIRE(container.prepare(limits(parent.path())).ok());
  container.plan.clone_flags |= CLONE_NEWUSER;
  container.plan.add(mortise::model::stage::identity, mortise::model::op::map_identity{"0 0 1\n", "0 0 1\n"});
  const std::string text = output_of(container, {"cat", "/proc/self/cgroup"});
  CHECK(text.find(parent.path() + '/' + container.id.text() + '\n') != std::string::npos);
}

TEST_CASE("cgroup: a version 2 controller is enabled for the container that asks for it") {
  const auto* const unified = cgroup_scene::find_writable("unified");
  if (unified == nullptr || support::missing_root()) return;
  if (unified->controllers.empty()) return support::skip("needs a controller in the version 2 tree");
  const std::string name = unified->controllers.front();
  const auto before = sys::read_file(unified->mount_point + "/cgroup.subtree_control");
  {
    const cgroup_scene::scene scene;
    const auto directory = scene.fact().controller(name);
    REQUIRE_MESSAGE(directory.ok(), directory.status().ToString());
    CHECK(directory->version == 2);
    CHECK(directory->path == unified->mount_point + scene.path());
    CHECK(scene.fact().unified()->path == directory->path);
    CHECK(sys::read_file(directory->path + "/cgroup.controllers")->find(name) != std::string::npos);
  }
  if (before->find(name) == std::string::npos)
    sys::write_file_at(AT_FDCWD, unified->mount_point + "/cgroup.subtree_control", '-' + name).IgnoreError();
}

TEST_CASE("cgroup: without limits there is a version 2 directory and nothing else") {
  const auto* const unified = cgroup_scene::find_writable("unified");
  if (unified == nullptr || support::missing_root()) return;
  const cgroup_scene::parent parent;
  box container;
  REQUIRE(container.prepare({cgroup::parent(parent.path())}).ok());
  const std::string path = parent.path() + '/' + container.id.text();
  CHECK(existing(path) == std::vector<std::string>{unified->mount_point + path});
  CHECK(!container.plan.cgroup.empty());
  CHECK(container.plan.at(mortise::model::stage::cgroup).empty());
}

TEST_CASE("cgroup: root's containers are /mortise-ID, beside each other") {
  const auto* const unified = cgroup_scene::find_writable("unified");
  if (unified == nullptr || support::missing_root()) return;
  box first;
  REQUIRE(first.prepare({}).ok());
  {
    box second;
    REQUIRE(second.prepare({}).ok());
    CHECK(existing("/mortise-" + second.id.text()).size() == 1);
  }
  CHECK(existing("/mortise-" + first.id.text()).size() == 1);
  CHECK(first.isolators.release().ok());
  CHECK(existing("/mortise-" + first.id.text()).empty());
}

TEST_CASE("cgroup: a parent that could lead elsewhere is refused") {
  for (const char* const parent : {"a", "/", "//", "/a/", "/a//b", "/../b", "/a/./b", "/a\nb"}) {
    box container;
    const absl::Status status = container.prepare({cgroup::parent(parent)});
    CHECK_MESSAGE(status.code() == absl::StatusCode::kInvalidArgument, parent);
  }
  box container;
  CHECK(message(container.prepare({cgroup::parent("a\nb")})) ==
        "cgroup: use cgroup parent 'a\\x0ab': it takes a path such as '/a/b', without '.' and '..'");
}

TEST_CASE("cgroup: an id that is in use is refused, unrecorded, and its owner goes on") {
  if (cgroup_scene::find_writable("unified") == nullptr || support::missing_root()) return;
  const cgroup_scene::parent parent;
  box owner;
  REQUIRE(owner.prepare({cgroup::parent(parent.path())}).ok());
  auto process = owner.spawn({"sleep", "1000"});
  REQUIRE(process.ok());
  box intruder;
  intruder.id = owner.id;
  const absl::Status status = intruder.prepare({cgroup::parent(parent.path())});
  CHECK(status.code() == absl::StatusCode::kAlreadyExists);
  CHECK(message(status).find("another container has this id") != std::string::npos);
  CHECK(intruder.records.count == 0);
  CHECK(intruder.isolators.release().ok());
  CHECK(process->wait(std::chrono::steady_clock::now()).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(owner.isolators.release().ok());
  CHECK(process->wait()->signal() == SIGKILL);
}

TEST_CASE("cgroup: release kills what the container left running") {
  if (missing_controllers()) return;
  const cgroup_scene::parent parent;
  box container;
  REQUIRE(container.prepare(limits(parent.path())).ok());
  const std::string path = parent.path() + '/' + container.id.text();
  auto process = container.spawn(cgroup_scene::quiet_shell("sleep 1000 & sleep 1000 & exit 0"));
  REQUIRE(process.ok());
  CHECK(process->wait()->success());
  const absl::Status released = container.isolators.release();
  CHECK_MESSAGE(released.ok(), released.ToString());
  CHECK(existing(path).empty());
}

TEST_CASE("cgroup: a failed isolator or launch leaves nothing") {
  if (missing_controllers()) return;
  const cgroup_scene::parent parent;
  for (const bool bad_limit : {true, false}) {
    std::string path;
    {
      box container;
      path = parent.path() + '/' + container.id.text();
      settings with = limits(parent.path());
      if (bad_limit) with.set(pids::limit(0));
      const absl::Status prepared = container.prepare(with);
      CHECK(prepared.ok() == !bad_limit);
      if (prepared.ok()) {
        container.plan.add(mortise::model::stage::execute, mortise::model::op::execute{{"/no/such"}, {"x"}, {}});
        CHECK(mortise::errno_of(mortise::launch::clone{}.spawn(container.plan).status()) == ENOENT);
      }
      CHECK(!existing(path).empty());
    }
    CHECK(existing(path).empty());
  }
}

TEST_CASE("cgroup: the record names every directory that may come to be, before any is") {
  if (missing_controllers()) return;
  const cgroup_scene::parent parent;
  box container;
  REQUIRE(container.prepare(limits(parent.path())).ok());
  CHECK(container.records.count == 1);
  const auto lines = mortise::split(container.records.last, '\n');
  CHECK(lines[0] == container.id.text());
  const auto made = existing(parent.path() + '/' + container.id.text());
  CHECK(!made.empty());
  for (const auto& each : made) CHECK(std::find(lines.begin(), lines.end(), each) != lines.end());
}

TEST_CASE("cgroup: what a killed launcher left is recovered, at whichever moment it died") {
  if (missing_controllers()) return;
  const cgroup_scene::parent parent;
  const support::temporary_directory directory;
  // Writes records where the test finds them after the launcher's death, as a state directory does.
  struct to_file : mortise::isolate::recorder {
    explicit to_file(std::string path) : path_(std::move(path)) {}
    absl::Status record(std::string_view, unsigned, std::string text) override {
      const auto file = sys::open(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      return file.ok() ? sys::write_all(file->get(), text) : file.status();
    }
    std::string path_;
  };
  const auto id = mortise::container_id::random();
  for (int steps = 0; steps < 3; ++steps) {
    const auto died = support::in_child([&] {
      to_file records(directory / "record");
      mortise::model::plan plan;
      composition isolators;
      if (steps == 0 && !isolators.prepare(id, {cgroup::parent(parent.path())}, plan, records).ok()) return 1;
      if (steps > 0 && !isolators.prepare(id, limits(parent.path()), plan, records).ok()) return 2;
      cgroup_scene::run_busybox(plan, cgroup_scene::quiet_shell("sleep 1000 & sleep 1000"));
      if (steps > 1 && !mortise::launch::clone{}.spawn(plan).ok()) return 3;
      ::raise(SIGKILL);
      return 4;
    });
    CHECK(died.signal == SIGKILL);
    CHECK(!existing(parent.path() + '/' + id.text()).empty());
    const auto record = sys::read_file(directory / "record");
    REQUIRE(record.ok());
    const absl::Status recovered = recover(*record);
    CHECK_MESSAGE(recovered.ok(), recovered.ToString());
    CHECK(existing(parent.path() + '/' + id.text()).empty());
    CHECK(recover(*record).ok());  // what is no longer there is success
  }
}

TEST_CASE("cgroup: recover touches nothing but cgroups of the container") {
  const auto* const unified = cgroup_scene::find_writable("unified");
  if (unified == nullptr || support::missing_root()) return;
  const cgroup_scene::parent parent;
  const std::string mount = unified->mount_point;
  const std::string mine = mount + parent.path() + "/victim";
  REQUIRE(sys::make_cgroup(mine).ok());
  const support::temporary_directory directory;
  REQUIRE(sys::make_directories(directory / "victim").ok());
  const std::string records[] = {
      "",
      "../victim\n" + mine,
      "other\n" + mine,
      "ictim\n" + mine,
      "victim\n\n" + mine,
      "victim\n" + mine + "\n" + directory.path() + "/victim",
      "victim\n" + mine + "\n" + mount + "/victim",
      "victim\n" + mine + "\n" + mount + "/x/../victim",
      "victim\n" + mine + "\n" + mount + parent.path(),
      "victim\n" + mine + "\n\n",
      "victim\n" + mount.substr(1) + parent.path() + "/victim",
  };
  for (const auto& each : records) {
    const absl::Status status = recover(each);
    CHECK_MESSAGE(status.code() == absl::StatusCode::kDataLoss, each);
    CHECK(message(status).starts_with("cgroup: recover cgroups: '"));
    CHECK(::access(mine.c_str(), F_OK) == 0);
    CHECK(::access((directory / "victim").c_str(), F_OK) == 0);
  }
  const absl::Status newer = recover("victim\n" + mine, cgroup::version + 1);
  CHECK(newer.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message(newer).find("recover with the program that wrote it") != std::string::npos);
  CHECK(::access(mine.c_str(), F_OK) == 0);
  CHECK(recover("victim\n" + mine).ok());
  CHECK(::access(mine.c_str(), F_OK) != 0);
  CHECK(::access((mount + parent.path()).c_str(), F_OK) == 0);
}

TEST_CASE("cgroup: eight threads launch at once, below a parent that comes and goes") {
  if (missing_controllers()) return;
  std::vector<std::string> failures(8);
  std::vector<std::thread> threads;
  threads.reserve(failures.size());
  for (auto& failure : failures) {
    threads.emplace_back([&failure] {
      for (int round = 0; round < 5 && failure.empty(); ++round) {
        box container;
        absl::Status status = container.prepare({memory::limit(64_MiB), cpu::cpus(1), pids::limit(10)});
        if (status.ok()) {
          auto process = container.spawn({"true"});
          status = process.ok() ? process->wait().status() : process.status();
        }
        status = mortise::first_error(status, container.isolators.release());
        if (!existing("/mortise-" + container.id.text()).empty()) failure = "left behind";
        if (!status.ok()) failure = std::string(message(status));
      }
    });
  }
  for (auto& each : threads) each.join();
  for (const auto& each : failures) CHECK(each == "");
}

TEST_CASE("cgroup: a user who may make none has none, and hears why once a limit is asked for") {
  if (missing_controllers()) return;
  const auto silent = support::in_child({.uid = support::nobody}, []() -> std::string {
    box container;
    const absl::Status prepared = container.prepare({});
    if (!prepared.ok()) return std::string(message(prepared));
    if (!container.plan.cgroup.empty() || container.records.count != 0) return "made something";
    auto process = container.spawn({"true"});
    return process.ok() && process->wait()->success() ? "" : "did not run";
  });
  CHECK(silent.text == "");
  const auto refused = support::in_child({.uid = support::nobody}, [] {
    box container;
    return container.prepare({memory::limit(64_MiB)});
  });
  CHECK(refused.text.starts_with("memory: use cgroup controller 'memory': this user may make no cgroup in '"));
  CHECK(refused.text.ends_with(remedy));
  const auto given = support::in_child({.uid = support::nobody}, [] {
    box container;
    return container.prepare({cgroup::parent("/mortise-test-given")});
  });
  CHECK(given.text.find("Permission denied") != std::string::npos);
}

TEST_CASE("cgroup: root has none where they are mounted read-only, as in other tools' containers") {
  if (missing_controllers()) return;
  const support::child_options options{.namespaces = CLONE_NEWNS};
  const auto prepare = [](const settings& with) {
    for (const auto& each : sys::find_cgroup_hierarchies()) {
      const char* const point = each.mount_point.c_str();
      if (::mount(nullptr, point, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
        return absl::UnknownError("mount");
    }
    box container;
    return container.prepare(with);
  };
  const auto silent = support::in_child(options, [&] { return prepare({}); });
  CHECK_MESSAGE(silent.ok(), silent.text);
  const auto refused = support::in_child(options, [&] { return prepare({pids::limit(10)}); });
  CHECK(refused.text.starts_with("pids: use cgroup controller 'pids': this user may make no cgroup in '"));
  CHECK(refused.text.ends_with("' (mount it writable)"));
}

TEST_CASE("cgroup: a controller that is nowhere is named") {
  if (cgroup_scene::find_writable("unified") == nullptr || support::missing_root()) return;
  const cgroup_scene::scene scene;
  const auto status = scene.fact().controller("no-such").status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message(status) ==
        "use cgroup controller 'no-such': no cgroup hierarchy that is mounted here has it (mount "
        "one, or boot with cgroup_enable=no-such)");
}

TEST_CASE("cgroup: a user with a delegated version 2 subtree has cgroups beside its own, or in it") {
  const auto* const unified = cgroup_scene::find_writable("unified");
  if (unified == nullptr || support::missing_root()) return;
  for (const bool beside : {true, false}) {
    const cgroup_scene::parent parent;
    const std::string top = unified->mount_point + parent.path();
    const std::string own = top + "/own";
    REQUIRE(sys::make_cgroup(own).ok());
    const std::string& delegated = beside ? top : own;
    for (const char* const file : {"", "/cgroup.procs", "/cgroup.subtree_control"})
      REQUIRE(::chown((delegated + file).c_str(), support::nobody, support::nobody) == 0);
    const auto result = support::in_child([&]() -> std::string {
      // Entered as root, as a service manager does it.
      if (!sys::write_file_at(AT_FDCWD, own + "/cgroup.procs", "0").ok()) return "cannot enter";
      if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return "cannot be nobody";
      box container;
      if (const absl::Status status = container.prepare({}); !status.ok()) return std::string(message(status));
      const std::string path = delegated + "/mortise-" + container.id.text();
      auto process = container.spawn({"sleep", "1000"});
      if (!process.ok()) return std::string(message(process.status()));
      const auto inside = sys::read_file(path + "/cgroup.procs");
      if (!inside.ok() || *inside != std::to_string(process->pid()) + '\n') return "is not in " + path;
      if (const absl::Status status = container.isolators.release(); !status.ok()) return std::string(message(status));
      if (process->wait()->signal() != SIGKILL) return "was not killed";
      return ::access(path.c_str(), F_OK) == 0 ? "is left behind" : "";
    });
    CHECK(result.text == "");
    CHECK(result.ok());
  }
}
