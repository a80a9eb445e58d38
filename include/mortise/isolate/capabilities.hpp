// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The capabilities that a container's root keeps: capabilities(7).

#include <cstdint>
#include <initializer_list>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/plan.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::isolate {

/// Capabilities by the kernel's numbers.
enum class capability : unsigned char {
  chown,
  dac_override,
  dac_read_search,
  fowner,
  fsetid,
  kill,
  setgid,
  setuid,
  setpcap,
  linux_immutable,
  net_bind_service,
  net_broadcast,
  net_admin,
  net_raw,
  ipc_lock,
  ipc_owner,
  sys_module,
  sys_rawio,
  sys_chroot,
  sys_ptrace,
  sys_pacct,
  sys_admin,
  sys_boot,
  sys_nice,
  sys_resource,
  sys_time,
  sys_tty_config,
  mknod,
  lease,
  audit_write,
  audit_control,
  setfcap,
  mac_override,
  mac_admin,
  syslog,
  wake_alarm,
  block_suspend,
  audit_read,
  perfmon,
  bpf,
  checkpoint_restore,
};

/// A set of capabilities, as a bit mask.
class capability_set {
 public:
  constexpr capability_set() = default;
  constexpr capability_set(std::initializer_list<capability> all) {
    for (const capability each : all) *this |= each;
  }
  /// By the kernel's numbers: bit 5 is CAP_KILL.
  static constexpr capability_set from_bits(std::uint64_t bits) {
    capability_set out;
    out.bits_ = bits;
    return out;
  }
  constexpr capability_set& operator|=(capability one) {
    bits_ |= std::uint64_t{1} << static_cast<unsigned>(one);
    return *this;
  }
  [[nodiscard]] constexpr bool has(capability one) const { return (bits_ >> static_cast<unsigned>(one) & 1) != 0; }
  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  constexpr bool operator==(const capability_set&) const = default;

 private:
  std::uint64_t bits_ = 0;
};

/// The fourteen that Docker, Podman and Appc agree on.
inline constexpr capability_set default_capabilities = {
    capability::chown,   capability::dac_override, capability::fsetid,           capability::fowner,
    capability::mknod,   capability::net_raw,      capability::setgid,           capability::setuid,
    capability::setfcap, capability::setpcap,      capability::net_bind_service, capability::sys_chroot,
    capability::kill,    capability::audit_write};

/// Effects: the container's root has the set and can never get more; another user has none. Inheritable and
/// ambient sets are empty, whatever the caller's are (CVE-2022-24769).
struct capabilities {
  static constexpr std::string_view name = "capabilities";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;
  struct settings {
    capability_set keep = default_capabilities;
  };

  /// Keeps exactly these instead of the default fourteen.
  static constexpr auto keep(capability_set set) {
    return change<capabilities>([set](settings& all) { all.keep = set; });
  }

  static absl::Status prepare(preparation<capabilities>& with) {
    const std::uint64_t bits = with.settings().keep.bits();
    with.plan().add(model::stage::bounding, model::op::keep_bounding{bits});
    with.plan().add(model::stage::privileges, model::op::set_capabilities{bits});
    return absl::OkStatus();
  }
};

/// Effects: no program in the container gains privileges by set-user-ID bits or file capabilities:
/// PR_SET_NO_NEW_PRIVS of prctl(2).
struct no_new_privileges {
  static constexpr std::string_view name = "no-new-privileges";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  static absl::Status prepare(preparation<no_new_privileges>& with) {
    with.plan().add(model::stage::privileges, model::op::forbid_new_privileges{});
    return absl::OkStatus();
  }
};

static_assert(isolator<capabilities> && isolator<no_new_privileges>);

}  // namespace mortise::isolate
