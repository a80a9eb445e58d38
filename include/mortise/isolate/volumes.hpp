// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Host directories and files, and fresh tmpfs, inside the container: mount(8), "bind mounts"; and a root that
/// cannot be written.

#include <sys/stat.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/isolate/facts.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/mount_target.hpp>
#include <mortise/model/plan.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::isolate {

/// Effects: each volume is mounted in the order given, at a path resolved inside the container's root; links
/// in the image are followed within it and never out of it (CVE-2021-30465). Missing targets are made. A device is
/// shared by naming it; those in a directory do not work.
/// Fails with: INVALID_ARGUMENT for a path that is not absolute, a target that is "/" or below /proc or /sys, a
/// source that is a link (CVE-2022-23648); NOT_FOUND for a missing source.
struct volumes {
  static constexpr std::string_view name = "volumes";
  static constexpr unsigned version = 1;
  using needs = facts<fact::private_mounts>;
  using wants = facts<fact::standard_filesystems>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  enum class access : unsigned char { read_write, read_only };
  struct volume {
    std::string source;  ///< on the host; empty for a tmpfs
    std::string target;
    access mode = access::read_write;
    bytes size{};  ///< of a tmpfs
  };
  struct settings {
    std::vector<volume> all;
  };

  /// The host's `source`, with whatever is mounted below it, at `target`.
  static auto bind(std::string source, std::string target, access mode = access::read_write) {
    return change<volumes>(
        [one = volume{std::move(source), std::move(target), mode, {}}](settings& to) { to.all.push_back(one); });
  }
  /// An empty file system in memory of at most `size`, gone with the container.
  static auto tmpfs(std::string target, bytes size) {
    return change<volumes>(
        [one = volume{{}, std::move(target), access::read_write, size}](settings& to) { to.all.push_back(one); });
  }

  static absl::Status prepare(preparation<volumes>& with) {
    for (const volume& each : with.settings().all) {
      MORTISE_RETURN_IF_ERROR(
          annotate(model::check_mount_target(each.target), concat("volume '", printable(each.target), '\'')));
      MORTISE_RETURN_IF_ERROR(each.source.empty() ? add_tmpfs(with.plan(), each) : add_bind(with.plan(), each));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status invalid(std::string_view what) { return error(absl::StatusCode::kInvalidArgument, what); }

  static absl::Status add_tmpfs(model::plan& plan, const volume& what) {
    const model::slot made = plan.new_slot();
    plan.add(model::stage::volumes,
             model::op::new_filesystem{"tmpfs",
                                       made,
                                       {{"mode", "1777"}, {"size", std::to_string(what.size.count)}},
                                       model::mount_flag::no_suid | model::mount_flag::no_dev});
    plan.add(model::stage::volumes,
             model::op::attach{made, {model::slot::root, what.target}, model::missing::make_directory, true});
    return absl::OkStatus();
  }

  static absl::Status add_bind(model::plan& plan, const volume& what) {
    const std::string named = concat("volume '", printable(what.source), '\'');
    if (!what.source.starts_with('/')) return invalid(concat(named, ": the source must be an absolute path"));
    struct stat about{};
    if (::lstat(what.source.c_str(), &about) != 0) return errno_error(errno, named);
    if (S_ISLNK(about.st_mode))
      return invalid(concat(named, ": the source is a symbolic link (name what it points to)"));
    const model::slot shared = plan.new_slot();
    // A directory's devices are not meant to be shared, and one made in it by the container least of all.
    const bool is_device = S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode);
    const std::uint64_t flags = (is_device ? 0 : model::mount_flag::no_dev) |
                                (what.mode == access::read_only ? model::mount_flag::read_only : 0);
    plan.add(model::stage::host, model::op::clone_tree{what.source, shared, true, flags});
    plan.add(model::stage::volumes,
             model::op::attach{shared,
                               {model::slot::root, what.target},
                               S_ISDIR(about.st_mode) ? model::missing::make_directory : model::missing::make_file,
                               true});
    return absl::OkStatus();
  }
};

/// Effects: the container's root file system is read-only; volumes and the standard file systems keep their
/// own modes.
struct read_only_root {
  static constexpr std::string_view name = "read-only-root";
  static constexpr unsigned version = 1;
  using needs = facts<fact::private_mounts>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;
  struct settings {
    bool enabled = true;
  };

  /// `enable(false)` leaves the root as its backend made it.
  static constexpr auto enable(bool on) {
    return change<read_only_root>([on](settings& all) { all.enabled = on; });
  }

  static absl::Status prepare(preparation<read_only_root>& with) {
    if (with.settings().enabled)
      with.plan().add(model::stage::seal, model::op::seal_root{model::mount_flag::read_only});
    return absl::OkStatus();
  }
};

static_assert(isolator<volumes> && isolator<read_only_root>);

}  // namespace mortise::isolate
