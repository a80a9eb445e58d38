// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One isolator for each kind of namespace: namespaces(7). What is not named is shared with the caller.

#include <linux/sched.h>
#include <unistd.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/isolate/facts.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/model/plan.hpp>
#include <string>
#include <string_view>

namespace mortise::isolate {

/// Root in the container is the caller outside; no other id exists in it. With it mortise needs no
/// privileges: user_namespaces(7).
/// Fails with: PERMISSION_DENIED at launch where the kernel forbids user namespaces to the caller.
struct user_namespace {
  static constexpr std::string_view name = "user-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::user_map>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWUSER;

  static absl::Status prepare(preparation<user_namespace>& with) {
    const fact::user_map map{::geteuid(), ::getegid()};
    with.plan().add(model::stage::identity,
                    model::op::map_identity{concat("0 ", map.host_uid, " 1\n"), concat("0 ", map.host_gid, " 1\n")});
    with.give(map);
    return absl::OkStatus();
  }
};

/// The container's users and groups are a range of the host's that nobody else should have: root in it is the first of
/// them, and without privileges outside. For a caller with privileges: user_namespaces(7).
/// Fails with: INVALID_ARGUMENT without a range; at launch PERMISSION_DENIED without CAP_SETUID and CAP_SETGID.
struct mapped_user_namespace {
  static constexpr std::string_view name = "mapped-user-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::user_map, fact::mapped_ids>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWUSER;
  struct settings {
    model::id_range ids;
  };

  /// `count` ids from 0 on are those of the host from `first` on: `ids(100'000, 65'536)`.
  static auto ids(std::uint32_t first, std::uint32_t count) {
    return change<mapped_user_namespace>([=](settings& all) { all.ids = {first, count}; });
  }

  static absl::Status prepare(preparation<mapped_user_namespace>& with) {
    const model::id_range ids = with.settings().ids;
    const absl::Status usable = model::check_id_range(ids);
    if (!usable.ok()) return annotate(usable, "give it mapped_user_namespace::ids(FIRST, COUNT)");
    with.plan().ids = ids;
    with.plan().add(model::stage::identity, model::op::await_ids{});
    with.plan().add(model::stage::root, model::op::become_root{});
    with.give(fact::user_map{ids.first, ids.first});
    with.give(fact::mapped_ids{});
    return absl::OkStatus();
  }
};

/// A mount table of the container's own; every container with a root filesystem needs it: mount_namespaces(7).
struct mount_namespace {
  static constexpr std::string_view name = "mount-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::private_mounts>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWNS;

  static absl::Status prepare(preparation<mount_namespace>& with) {
    with.plan().add(model::stage::host, model::op::make_private{});
    with.give(fact::private_mounts{});
    return absl::OkStatus();
  }
};

/// The container's first process is number 1 and sees only its own; when it ends, all end:
/// pid_namespaces(7).
struct pid_namespace {
  static constexpr std::string_view name = "pid-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::private_pids>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWPID;

  static absl::Status prepare(preparation<pid_namespace>& with) {
    with.give(fact::private_pids{});
    return absl::OkStatus();
  }
};

/// System V IPC and POSIX message queues of the container's own: ipc_namespaces(7).
struct ipc_namespace {
  static constexpr std::string_view name = "ipc-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::private_ipc>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWIPC;

  static absl::Status prepare(preparation<ipc_namespace>& with) {
    with.give(fact::private_ipc{});
    return absl::OkStatus();
  }
};

/// A host name of the container's own, by default its id: uts_namespaces(7).
/// Fails with: INVALID_ARGUMENT for a name that is empty, longer than 64 bytes or no host name (hostname(7)).
struct uts_namespace {
  static constexpr std::string_view name = "uts-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::private_names>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWUTS;
  struct settings {
    std::string hostname;
  };

  static auto hostname(std::string value) {
    return change<uts_namespace>([value = std::move(value)](settings& all) { all.hostname = value; });
  }

  static absl::Status prepare(preparation<uts_namespace>& with) {
    const std::string& wanted = with.settings().hostname;
    const std::string name_of_host = wanted.empty() ? with.id().text() : wanted;
    if (!valid(name_of_host)) {
      return error(
          absl::StatusCode::kInvalidArgument,
          concat(
              "set hostname '", printable(name_of_host, 80),
              "': a host name has 1 to 64 letters, digits, '_', '-' and '.', and begins with neither of the last two"));
    }
    with.plan().add(model::stage::network, model::op::set_hostname{name_of_host});
    with.give(fact::private_names{});
    return absl::OkStatus();
  }

 private:
  static bool valid(std::string_view text) {
    bool good = !text.empty() && text.size() <= 64 && text.front() != '-' && text.front() != '.';
    for (const char c : text) {
      good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '_');
    }
    return good;
  }
};

/// A network stack with nothing but a loopback interface, which is up: network_namespaces(7).
struct network_namespace {
  static constexpr std::string_view name = "network-namespace";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<fact::private_network>;
  using hooks = hook::list<hook::prepare>;
  static constexpr std::uint64_t clone_flags = CLONE_NEWNET;

  static absl::Status prepare(preparation<network_namespace>& with) {
    with.plan().add(model::stage::network, model::op::loopback_up{});
    with.give(fact::private_network{});
    return absl::OkStatus();
  }
};

static_assert(isolator<user_namespace> && isolator<mount_namespace> && isolator<pid_namespace> &&
              isolator<ipc_namespace> && isolator<uts_namespace> && isolator<network_namespace>);

}  // namespace mortise::isolate
