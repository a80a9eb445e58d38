// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A container of cgroups only, put together by hand: prepared, started from the host's own root, and taken away
/// with everything it may have made, however the case ends.

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/launch/clone.hpp>
#include <optional>
#include <string>
#include <support/skip.hpp>
#include <utility>
#include <vector>

namespace cgroup_scene {

namespace isolate = mortise::isolate;
namespace model = mortise::model;
namespace sys = mortise::sys;

/// Keeps the last record of each isolator.
class records : public isolate::recorder {
 public:
  absl::Status record(std::string_view, unsigned, std::string text) override {
    last = std::move(text);
    ++count;
    return absl::OkStatus();
  }
  std::string last;
  int count = 0;
};

/// A parent for the cgroups of one case.
inline std::string unique_name() {
  static int counter = 0;
  return "mortise-test-" + std::to_string(::getpid()) + '-' + std::to_string(++counter);
}

/// The paths that a cgroup below the mount points would have, in each hierarchy.
inline std::vector<std::string> everywhere(const std::string& path) {
  std::vector<std::string> paths;
  for (const auto& each : sys::cgroup_hierarchies()) paths.push_back(each.mount_point + path);
  return paths;
}

/// Those of them that exist.
inline std::vector<std::string> existing(const std::string& path) {
  std::vector<std::string> paths = everywhere(path);
  std::erase_if(paths, [](const std::string& each) { return ::access(each.c_str(), F_OK) != 0; });
  return paths;
}

/// A parent cgroup of the case's own, removed with all below it in every hierarchy.
class parent {
 public:
  parent() = default;
  parent(const parent&) = delete;
  parent& operator=(const parent&) = delete;
  ~parent() { sys::remove_cgroups(existing(path_)).IgnoreError(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = '/' + unique_name();
};

/// A plan's last operation: a program of the statically linked busybox.
inline void run_busybox(model::plan& plan, std::vector<std::string> arguments) {
  plan.add(model::stage::execute, model::op::execute{{"/bin/busybox"}, std::move(arguments), {"PATH=/bin:/usr/bin"}});
}

/// A text with what the shell command prints sent nowhere.
inline std::vector<std::string> quiet_shell(const std::string& command) {
  return {"sh", "-c", "exec >/dev/null 2>&1; " + command};
}

class scene {
 public:
  scene() {
    settings_.parent = parent_.path();
    isolate::preparation<isolate::cgroup> with(id, settings_, plan, {}, {}, {&fact_}, recorded);
    auto made = isolate::cgroup::prepare(with);
    REQUIRE_MESSAGE(made.ok(), made.status().ToString());
    cgroups = *std::move(made);
  }
  scene(const scene&) = delete;
  scene& operator=(const scene&) = delete;
  ~scene() {
    if (cgroups) cgroups->release().IgnoreError();
  }

  /// Prepares one isolator with settings.
  template <class Isolator, class... Changes>
  absl::StatusOr<typename Isolator::held> prepare(const Changes&... changes) {
    isolate::settings_of<Isolator> settings;
    (changes.change(settings), ...);
    isolate::preparation<Isolator> with(id, settings, plan, {&*fact_}, {}, {}, recorded);
    return Isolator::prepare(with);
  }

  absl::StatusOr<mortise::launch::process> spawn(std::vector<std::string> arguments) {
    run_busybox(plan, std::move(arguments));
    return mortise::launch::clone{}.spawn(plan);
  }

  [[nodiscard]] std::string path() const { return parent_.path() + '/' + id.text(); }
  [[nodiscard]] const mortise::fact::cgroup& fact() const { return *fact_; }

  const mortise::container_id id = mortise::container_id::random();
  model::plan plan;
  records recorded;

 private:
  parent parent_;  // removed after the container's own
  isolate::cgroup::settings settings_;
  std::optional<mortise::fact::cgroup> fact_;

 public:
  isolate::cgroup::held cgroups;
};

/// The hierarchy of a controller in which this user may make cgroups; skips the case, and is nullptr, without one.
inline const sys::cgroup_hierarchy* find_writable(const std::string& controller) {
  for (const auto& each : sys::cgroup_hierarchies()) {
    const bool wanted = controller == "unified" ? each.version == 2 : each.has(controller);
    if (wanted && ::access(each.mount_point.c_str(), W_OK) == 0) return &each;
  }
  support::skip("needs a writable cgroup hierarchy with '" + controller + "'");
  return nullptr;
}

/// Waits until a condition holds, at most ten seconds.
template <class Condition>
bool eventually(Condition condition) {
  for (int tries = 0; tries < 2000; ++tries) {
    if (condition()) return true;
    ::usleep(5000);
  }
  return false;
}

}  // namespace cgroup_scene
