// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/standard.hpp>

#include <doctest/doctest.h>

#include <isolate/prepared.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>

namespace {

/// What depends on the machine's processors is left out.
template <class Pack>
std::string plan_of() {
  std::string out;
  const std::string text = prepared::plan_of<Pack>();
  for (const std::string_view line : mortise::split(text, '\n'))
    if (line.find("thermal_throttle") == std::string_view::npos && !line.empty()) mortise::append(out, line, '\n');
  return out;
}

constexpr std::string_view privileged = R"(clone flags 0x6c020000
network
  set hostname 'box'
  bring up loopback
host
  make mounts private
  mount proc nosuid,nodev,noexec -> #1
  mount sysfs ro,nosuid,nodev,noexec -> #2
filesystems
  attach to '/proc' <- #1
  attach to '/sys' <- #2
  mount tmpfs mode=755,size=65536k nosuid,nodev,noexec -> #3
  attach to '/dev' <- #3
  make node '#3/null' mode 0x21b6 device 0x103
  make node '#3/zero' mode 0x21b6 device 0x105
  make node '#3/full' mode 0x21b6 device 0x107
  make node '#3/random' mode 0x21b6 device 0x108
  make node '#3/urandom' mode 0x21b6 device 0x109
  make node '#3/tty' mode 0x21b6 device 0x500
  make link '#3/fd' -> /proc/self/fd
  make link '#3/stdin' -> /proc/self/fd/0
  make link '#3/stdout' -> /proc/self/fd/1
  make link '#3/stderr' -> /proc/self/fd/2
  make link '#3/ptmx' -> pts/ptmx
  mount devpts newinstance,ptmxmode=0666,mode=0620,gid=5 nosuid,noexec -> #4
  attach to '#3/pts' <- #4
)";

constexpr std::string_view masks = R"(masks
  mask '/proc/acpi'
  mask '/proc/asound'
  mask '/proc/interrupts'
  mask '/proc/kcore'
  mask '/proc/keys'
  mask '/proc/latency_stats'
  mask '/proc/timer_list'
  mask '/proc/timer_stats'
  mask '/proc/sched_debug'
  mask '/proc/scsi'
  mask '/sys/firmware'
  mask '/sys/devices/virtual/powercap'
  make '/proc/bus' read-only
  make '/proc/fs' read-only
  make '/proc/irq' read-only
  make '/proc/sys' read-only
  make '/proc/sysrq-trigger' read-only
seal
  seal the root: nodev
bounding
  drop capabilities from the bounding set but 0xa80425fb
privileges
  set capabilities: permitted 0xa80425fb ambient 0x0
  forbid new privileges
)";

}  // namespace

TEST_CASE("standard: the whole plan, for root" * doctest::test_suite("unprivileged")) {
  const std::string text = plan_of<mortise::isolate::standard>();
  const std::string_view begin = privileged.substr(0, privileged.rfind("  attach"));
  CHECK(text.substr(0, begin.size()) == begin);
  const std::string rest = text.substr(std::min(begin.size(), text.size()));
  CHECK(rest ==
        "  attach to '#3/pts' <- #4\n"
        "  mount tmpfs mode=1777,size=67108864 nosuid,nodev,noexec -> #5\n  attach to '#3/shm' <- #5\n"
        "  mount mqueue nosuid,nodev,noexec -> #6\n  attach to '#3/mqueue' <- #6\n" +
            std::string(masks));
}

TEST_CASE("standard: the whole plan, without privileges") {
  if (support::missing_root()) return;
  const std::string text =
      support::in_child({.uid = support::nobody}, plan_of<mortise::isolate::standard_unprivileged>).text;
  CHECK(
      text.starts_with("clone flags 0x7c020000\nidentity\n  map user and group ids: uid 0 65534 1\n, gid 0 65534 1\n"));
  CHECK(text.find("make node") == std::string::npos);
  CHECK(text.find("  share '/dev/null' nosuid,noexec -> #") != std::string::npos);
  CHECK(text.find("gid=5") == std::string::npos);
  CHECK(text.ends_with(masks));
}
