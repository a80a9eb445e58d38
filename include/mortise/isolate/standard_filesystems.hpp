// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// /proc, /sys and /dev as every program expects them, and nothing in them that reaches the host: OCI
/// runtime-spec config-linux.md, "Default Filesystems" and "Default Devices".

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/isolate/facts.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/plan.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::isolate {

/// Effects: procfs of the container's processes; sysfs, read-only; a fresh /dev with null, zero, full, random,
/// urandom, tty, a devpts of its own, shm and mqueue; the usual paths masked or read-only (CVE-2018-10892).
/// No other device works, wherever in the container its node is made.
/// Fails with: at launch, the mount that the kernel refuses, by name; EINVAL or ELOOP where the image has a
/// file or link in the place of one of the directories.
/// Leaves behind: nothing; all of it goes with the container's mount namespace.
struct standard_filesystems {
  static constexpr std::string_view name = "standard-filesystems";
  static constexpr unsigned version = 1;
  using needs = facts<fact::private_mounts, fact::private_pids>;
  using wants = facts<fact::user_map, fact::private_network, fact::private_ipc>;
  using gives = facts<fact::standard_filesystems>;
  using hooks = hook::list<hook::prepare>;
  struct settings {
    bytes shm_size = 64_MiB;
  };

  /// The size of /dev/shm; 64 MiB without.
  static auto shm_size(bytes size) {
    return change<standard_filesystems>([size](settings& all) { all.shm_size = size; });
  }

  static absl::Status prepare(preparation<standard_filesystems>& with) {
    model::plan& plan = with.plan();
    const bool unprivileged = with.find<fact::user_map>() != nullptr;
    add_proc_and_sys(plan, unprivileged && with.find<fact::private_network>() == nullptr);
    const model::slot dev = add_dev(plan, unprivileged);
    add_shm(plan, dev, with.settings().shm_size);
    // A message queue file system belongs to the IPC namespace, whose owner alone may mount it.
    if (!unprivileged || with.find<fact::private_ipc>() != nullptr) add_mqueue(plan, dev);
    for (const auto& path : masked_paths()) plan.add(model::stage::masks, model::op::mask{{model::slot::root, path}});
    for (const char* const path : read_only_paths)
      plan.add(model::stage::masks, model::op::make_read_only{{model::slot::root, path}});
    // A container may keep CAP_MKNOD: what it makes with it must not be the host's disk.
    plan.add(model::stage::seal, model::op::seal_root{model::mount_flag::no_dev});
    with.give(fact::standard_filesystems{});
    return absl::OkStatus();
  }

 private:
  static constexpr std::uint64_t plain =
      model::mount_flag::no_suid | model::mount_flag::no_dev | model::mount_flag::no_exec;
  static constexpr std::array read_only_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                                 "/proc/sysrq-trigger"};

  struct device {
    const char* name;
    unsigned major;
    unsigned minor;
  };
  static constexpr std::array devices = {device{"null", 1, 3},   device{"zero", 1, 5},    device{"full", 1, 7},
                                         device{"random", 1, 8}, device{"urandom", 1, 9}, device{"tty", 5, 0}};

  /// Made while the host's are still visible: in a user namespace the kernel gives a new procfs or sysfs only
  /// to who can see a whole one already.
  static void add_proc_and_sys(model::plan& plan, bool share_sys) {
    const model::slot proc = plan.new_slot();
    plan.add(model::stage::host, model::op::new_filesystem{"proc", proc, {}, plain});
    plan.add(model::stage::filesystems, model::op::attach{proc, {model::slot::root, "/proc"}});
    const model::slot sys = plan.new_slot();
    constexpr std::uint64_t sealed = plain | model::mount_flag::read_only;
    if (share_sys) {  // sysfs shows a network namespace, and this one is not the container's
      plan.add(model::stage::host, model::op::clone_tree{"/sys", sys, true, sealed});
    } else {
      plan.add(model::stage::host, model::op::new_filesystem{"sysfs", sys, {}, sealed});
    }
    plan.add(model::stage::filesystems, model::op::attach{sys, {model::slot::root, "/sys"}});
  }

  static model::slot add_dev(model::plan& plan, bool unprivileged) {
    using namespace model;
    const slot dev = plan.new_slot();
    plan.add(stage::filesystems, op::new_filesystem{"tmpfs", dev, {{"mode", "755"}, {"size", "65536k"}}, plain});
    plan.add(stage::filesystems, op::attach{dev, {slot::root, "/dev"}});
    for (const device& each : devices) {
      if (unprivileged) {  // device nodes cannot be made in a user namespace; the host's are shared instead
        const slot host = plan.new_slot();
        plan.add(stage::host,
                 op::clone_tree{concat("/dev/", each.name), host, false, mount_flag::no_suid | mount_flag::no_exec});
        plan.add(stage::filesystems, op::attach{host, {dev, each.name}, missing::make_file});
      } else {
        plan.add(stage::filesystems, op::make_node{{dev, each.name}, S_IFCHR | 0666, makedev(each.major, each.minor)});
      }
    }
    for (const auto& [link, target] : {std::pair{"fd", "/proc/self/fd"}, std::pair{"stdin", "/proc/self/fd/0"},
                                       std::pair{"stdout", "/proc/self/fd/1"}, std::pair{"stderr", "/proc/self/fd/2"},
                                       std::pair{"ptmx", "pts/ptmx"}})
      plan.add(stage::filesystems, op::make_symlink{{dev, link}, target});
    const slot pts = plan.new_slot();
    op::new_filesystem devpts{"devpts",
                              pts,
                              {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}},
                              mount_flag::no_suid | mount_flag::no_exec};
    if (!unprivileged) devpts.options.emplace_back("gid", "5");  // Debian's and everybody's group "tty"
    plan.add(stage::filesystems, std::move(devpts));
    plan.add(stage::filesystems, op::attach{pts, {dev, "pts"}});
    return dev;
  }

  static void add_shm(model::plan& plan, model::slot dev, bytes size) {
    const model::slot shm = plan.new_slot();
    plan.add(model::stage::filesystems,
             model::op::new_filesystem{"tmpfs", shm, {{"mode", "1777"}, {"size", std::to_string(size.count)}}, plain});
    plan.add(model::stage::filesystems, model::op::attach{shm, {dev, "shm"}});
  }

  static void add_mqueue(model::plan& plan, model::slot dev) {
    const model::slot mqueue = plan.new_slot();
    plan.add(model::stage::filesystems, model::op::new_filesystem{"mqueue", mqueue, {}, plain});
    plan.add(model::stage::filesystems, model::op::attach{mqueue, {dev, "mqueue"}});
  }

  /// Docker's list. Which CPUs have a thermal_throttle directory is asked once a process.
  static const std::vector<std::string>& masked_paths() {
    static const std::vector<std::string> paths = [] {
      std::vector<std::string> all = {"/proc/acpi",       "/proc/asound",      "/proc/interrupts",
                                      "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                      "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
      const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
      for (long each = 0; each < cpus; ++each) {
        std::string path = concat("/sys/devices/system/cpu/cpu", each, "/thermal_throttle");
        if (::access(path.c_str(), F_OK) == 0) all.push_back(std::move(path));
      }
      return all;
    }();
    return paths;
  }
};

static_assert(isolator<standard_filesystems>);

}  // namespace mortise::isolate
