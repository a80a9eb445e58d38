// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The container's cgroups: made when an isolator first asks for a controller, entered by the child before
/// anything that counts, emptied and removed at the end. cgroups(7).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/cgroupfs.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::isolate {

namespace detail {

/// The cgroup of one container in one hierarchy, made or not.
struct cgroup_place {
  const sys::cgroup_hierarchy* hierarchy = nullptr;
  sys::cgroup_directory directory;
  bool made = false;
};

/// Of the cgroups of containers whose parent was not given: a directory of their own for them all would have to be
/// made for the first in every hierarchy and removed after the last, which doubles what a lone launch pays.
inline constexpr std::string_view default_prefix = "/mortise-";

inline constexpr std::string_view cgroup_remedy = "run as root, or under systemd-run --user --scope -p Delegate=yes";

/// Whether the caller may make cgroups in a directory and start processes in them: for version 2, clone3(2)
/// checks the common ancestor of a process's old and new cgroup, which is that directory.
inline bool may_grow(const std::string& directory, unsigned version) {
  const auto may_write = [](const std::string& path) {
    return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
  };
  return may_write(directory) && (version == 1 || may_write(directory + "/cgroup.procs"));
}

/// Below which directory a hierarchy's cgroups are made where no parent was given; empty where the caller may
/// make none. Beside the caller's own cgroup rather than in it: a version 2 cgroup with processes of its own
/// cannot have controllers below it. Version 1 is no place for delegation: cgroup-v2.rst, "Issues with v1".
inline std::string choose_parent(const sys::cgroup_hierarchy& where) {
  if (::geteuid() == 0 && may_grow(where.mount_point, where.version)) return where.mount_point;
  if (where.version == 1) return {};
  const auto text = sys::read_file("/proc/self/cgroup");
  const auto own = text.ok() ? sys::parse_own_cgroup(where, *text) : std::nullopt;
  if (!own) return {};
  std::string here = where.mount_point + *own;
  std::string beside = own->empty() ? here : here.substr(0, here.rfind('/'));
  if (may_grow(beside, 2)) return beside;
  return may_grow(here, 2) ? here : std::string();
}

/// Where the container's cgroups are to be: one place for each hierarchy that has controllers, or that is the
/// version 2 tree, and in which the caller may make cgroups.
inline std::vector<cgroup_place> places_for(const std::string& id, const std::string& parent) {
  std::vector<cgroup_place> places;
  for (const auto& each : sys::cgroup_hierarchies()) {
    const bool useful =
        each.version == 2 || (!each.controllers.empty() && !each.controllers.front().starts_with("name="));
    const std::string base = parent.empty() ? choose_parent(each) : each.mount_point;
    if (!useful || base.empty()) continue;
    const std::string path = concat(base, parent.empty() ? default_prefix : concat(parent, '/'), id);
    places.push_back({&each, {each.version, path}, false});
  }
  return places;
}

/// "/a/b" without anything that could lead elsewhere.
inline bool is_plain_path(std::string_view path) {
  if (!path.starts_with('/')) return false;
  for (const std::string_view part : split(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == ".." || part.find('\n') != std::string_view::npos) return false;
  }
  return path.size() > 1 && !path.ends_with('/');
}

}  // namespace detail

/// All cgroups of one container.
class cgroup_set {
 public:
  explicit cgroup_set(std::vector<detail::cgroup_place> places) : places_(std::move(places)) {}

  /// Whether the caller may make no cgroup at all.
  [[nodiscard]] bool empty() const { return places_.empty(); }

  /// The version 2 directory that every container has where the tree can be written, or nullptr.
  [[nodiscard]] const sys::cgroup_directory* unified() const {
    for (const auto& each : places_) {
      if (each.made && each.directory.version == 2) return &each.directory;
    }
    return nullptr;
  }

  /// Makes the container's cgroup with a controller, and the child enter it.
  absl::StatusOr<sys::cgroup_directory> controller(const std::string& name, model::plan& plan) {
    auto* const place = find([&](const auto& each) { return each.has(name); });
    if (place == nullptr) return no_place_for(name);
    if (!place->made) MORTISE_RETURN_IF_ERROR(make(*place, plan));
    if (place->directory.version == 2) {
      MORTISE_RETURN_IF_ERROR(sys::enable_controller(*place->hierarchy, place->directory.path, name));
    }
    return place->directory;
  }

  /// Makes the version 2 directory, if the caller may.
  absl::Status make_unified(model::plan& plan) {
    auto* const place = find([](const auto& each) { return each.version == 2; });
    return place == nullptr ? absl::OkStatus() : make(*place, plan);
  }

  /// A cgroup of this name that is there already is another container's. Where there is a version 2 tree every
  /// container has a directory in it, which speaks for the others.
  [[nodiscard]] absl::Status check_unused() const {
    const bool any_unified =
        std::any_of(places_.begin(), places_.end(), [](const auto& each) { return each.directory.version == 2; });
    for (const auto& each : places_) {
      if (any_unified && each.directory.version != 2) continue;
      if (::access(each.directory.path.c_str(), F_OK) == 0) return in_use(each.directory.path);
    }
    return absl::OkStatus();
  }

  /// What recover reads: the id, and every directory that may come to be, a line each.
  [[nodiscard]] std::string record(const container_id& id) const {
    std::string text = id.text();
    for (const auto& each : places_) append(text, '\n', each.directory.path);
    return text;
  }

  absl::Status release() {
    std::vector<std::string> made;
    for (const auto& each : places_) {
      if (each.made) made.push_back(each.directory.path);
    }
    return sys::remove_cgroups(made);
  }

 private:
  template <class Matches>
  detail::cgroup_place* find(Matches matches) {
    const auto found =
        std::find_if(places_.begin(), places_.end(), [&](const auto& each) { return matches(*each.hierarchy); });
    return found == places_.end() ? nullptr : &*found;
  }

  static absl::Status in_use(const std::string& path) {
    return errno_error(
        EEXIST, concat("make cgroup '", path, '\''),
        "another container has this id, or one that was never recovered: choose another id, or recover it");
  }

  absl::Status make(detail::cgroup_place& place, model::plan& plan) {
    const std::string& path = place.directory.path;
    const absl::Status made = sys::make_cgroup(path);
    if (errno_of(made) == EEXIST) return in_use(path);
    if (errno_of(made) == EACCES || errno_of(made) == EPERM)
      return errno_error(errno_of(made), concat("make cgroup '", path, '\''), detail::cgroup_remedy);
    MORTISE_RETURN_IF_ERROR(made);
    place.made = true;  // from here on release removes it
    // Entered while it has one thread and before exec, a process moves at once; in its prime it would wait for
    // every processor to pass through the scheduler. Version 2 can do better: the child is born there.
    if (place.directory.version == 2) {
      plan.cgroup = path;
    } else {
      plan.add(model::stage::cgroup, model::op::join_cgroup{path + "/tasks"});
    }
    return absl::OkStatus();
  }

  static absl::Status no_place_for(const std::string& name) {
    const std::string what = concat("use cgroup controller '", name, '\'');
    for (const auto& each : sys::cgroup_hierarchies()) {
      if (!each.has(name)) continue;
      const bool root = ::geteuid() == 0;
      return error(absl::StatusCode::kPermissionDenied,
                   concat(what, ": this user may make no cgroup in '", each.mount_point, "' (",
                          root ? "mount it writable" : detail::cgroup_remedy, ')'));
    }
    return error(
        absl::StatusCode::kFailedPrecondition,
        concat(what, ": no cgroup hierarchy that is mounted here has it (mount one, or boot with cgroup_enable=", name,
               ')'));
  }

  std::vector<detail::cgroup_place> places_;
};

}  // namespace mortise::isolate

namespace mortise::fact {

/// The container has cgroups, each made when an isolator first asks for one of its controllers.
struct cgroup {
  isolate::cgroup_set* set;
  model::plan* plan;

  /// The container's cgroup in the hierarchy of a controller, to be filled with limits: the child is in it
  /// before it runs anything of the container's. Fails with PERMISSION_DENIED or FAILED_PRECONDITION, and a
  /// remedy, where there can be none.
  [[nodiscard]] absl::StatusOr<sys::cgroup_directory> controller(const std::string& name) const {
    return set->controller(name, *plan);
  }
  /// The container's version 2 directory, which counts CPU time whatever its controllers; nullptr if none.
  [[nodiscard]] const sys::cgroup_directory* unified() const { return set->unified(); }
};

}  // namespace mortise::fact

namespace mortise::isolate {

/// Gives the container cgroups, named after its id.
/// Effects: a version 2 directory where there can be one; a version 1 directory for each controller asked for.
/// Where the caller may make no cgroups, none, until an isolator asks for one.
/// Fails with: ALREADY_EXISTS if the id has a cgroup; INVALID_ARGUMENT for a bad parent.
/// Leaves behind: nothing; release and recover kill what is in the cgroups. A parent that was given stays.
struct cgroup {
  static constexpr std::string_view name = "cgroup";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::cgroup>;
  using hooks = hook::list<hook::prepare, hook::release, hook::recover>;

  struct settings {
    std::string parent;
  };
  using held = std::unique_ptr<cgroup_set>;

  /// Below which cgroup of each hierarchy the container's is made, as a path from the mount point: "/a/b" for
  /// "/a/b/ID". It is made where it is missing, and never removed. Without it: "/mortise-ID" for root; else, in
  /// version 2 only, "mortise-ID" beside the caller's own cgroup, or in it.
  static auto parent(std::string path) {
    return change<cgroup>([path = std::move(path)](settings& all) { all.parent = path; });
  }

  static absl::StatusOr<held> prepare(preparation<cgroup>& with) {
    const std::string& parent = with.settings().parent;
    if (!parent.empty() && !detail::is_plain_path(parent)) {
      return error(
          absl::StatusCode::kInvalidArgument,
          concat("use cgroup parent '", printable(parent), "': it takes a path such as '/a/b', without '.' and '..'"));
    }
    auto mine = std::make_unique<cgroup_set>(detail::places_for(with.id().text(), parent));
    if (!mine->empty()) {
      MORTISE_RETURN_IF_ERROR(mine->check_unused());
      MORTISE_RETURN_IF_ERROR(with.checkpoint(mine->record(with.id())));
    }
    if (const absl::Status made = mine->make_unified(with.plan()); !made.ok())
      return first_error(made, mine->release());
    with.give(fact::cgroup{mine.get(), &with.plan()});
    return mine;
  }

  static absl::Status release(held& mine) { return mine->release(); }

  static absl::Status recover(std::string_view record, unsigned written_by) {
    if (written_by != version) {
      return error(absl::StatusCode::kFailedPrecondition,
                   concat("recover cgroups: their record is of version ", written_by, ", and only ", version,
                          " is known here (recover with the program that wrote it)"));
    }
    const auto lines = split(record, '\n');
    if (lines.empty() || !container_id::parse(lines[0]).ok()) return bad_record(record);
    const std::vector<std::string> paths(lines.begin() + 1, lines.end());
    for (const auto& each : paths) {
      if (!is_cgroup_of(each, lines[0])) return bad_record(each);
    }
    return sys::remove_cgroups(paths);
  }

 private:
  static absl::Status bad_record(std::string_view text) {
    return error(absl::StatusCode::kDataLoss,
                 concat("recover cgroups: '", printable(text), "' names no cgroup of a container"));
  }

  /// Whether a path is one that prepare makes: below a cgroup mount, and named after the container. Nothing else is
  /// ever touched.
  static bool is_cgroup_of(const std::string& path, std::string_view id) {
    if (!detail::is_plain_path(path)) return false;
    for (const auto& each : sys::cgroup_hierarchies()) {
      if (!path.starts_with(each.mount_point + '/')) continue;
      const std::string_view below = std::string_view(path).substr(each.mount_point.size());
      return below.ends_with(concat(detail::default_prefix, id)) ||
             (below.size() > id.size() + 1 && below.ends_with(concat('/', id)));
    }
    return false;
  }
};

static_assert(isolator<cgroup>);

}  // namespace mortise::isolate
