// SPDX-License-Identifier: Apache-2.0
// Containers of a user without any privileges.
#include <mortise/container.hpp>

#include <doctest/doctest.h>

#include <container/box.hpp>
#include <mortise/isolate/volumes.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

namespace {

using unprivileged_box = mortise::container<mortise::image::directory, mortise::rootfs::unprivileged_overlay,
                                            mortise::isolate::standard_unprivileged, mortise::isolate::volumes>;
using mortise::isolate::volumes;

/// Runs a script as nobody; the text, or the failure.
std::string run_as_nobody(const boxes::scene& place, const std::string& script,
                          unprivileged_box::launch_options options = {}) {
  options.id = *mortise::container_id::parse("x");
  support::child_options as{.deadline = std::chrono::minutes(1)};
  if (::geteuid() == 0) as.uid = support::nobody;
  return support::in_child(as,
                           [&] {
                             const support::leak_snapshot before;
                             const auto ran = boxes::run_script<unprivileged_box>(place, script, options);
                             return (ran.status.ok() ? ran.text : ran.message()) + before.leaked();
                           })
      .text;
}

bool missing() { return support::missing_user_namespaces() || support::missing_program("busybox"); }

}  // namespace

TEST_CASE("unprivileged: all of a standard container works without privileges") {
  if (missing() || support::missing_root()) return;
  boxes::scene place;
  place.give(support::nobody);
  CHECK(run_as_nobody(place, "id -u; id -g; echo $$; hostname; echo x > /tmp/new; cat /tmp/new") == "0\n0\n1\nx\nx\n");
  CHECK(run_as_nobody(place,
                      "echo x > /dev/null; dd if=/dev/zero bs=1 count=2 2>/dev/null | wc -c 2>/dev/null || ls /dev")
            .find("2") == 0);
  CHECK(run_as_nobody(place, "ls -d /proc/1; ls /sys/class/net; ls -d /dev/shm /dev/mqueue /dev/pts/ptmx") ==
        "/proc/1\nlo\n/dev/mqueue\n/dev/pts/ptmx\n/dev/shm\n");
  CHECK(run_as_nobody(place, "(echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo sealed; ls -A /sys/firmware") ==
        "sealed\n");
  CHECK(run_as_nobody(place, "grep -E 'CapEff|Groups' /proc/self/status") == "Groups:\t \nCapEff:\t00000000a80425fb\n");
  unprivileged_box::launch_options with_volumes;
  with_volumes.with = {volumes::bind(place.image() + "/etc", "/v", volumes::access::read_only),
                       volumes::tmpfs("/t", {1 << 20})};
  CHECK(run_as_nobody(place, "cat /v/group | grep -c users; touch /v/x 2>/dev/null || echo sealed; touch /t/x && ls /t",
                      with_volumes) == "1\nsealed\nx\n");
}

TEST_CASE("unprivileged: what cannot be had is refused by name") {
  if (missing() || support::missing_root()) return;
  boxes::scene place;
  place.give(support::nobody);
  const std::string prefix = "launch container 'x': become user '";
  CHECK(run_as_nobody(place, "true", {.user = "1000"}) ==
        prefix + "1000': setresgid: the container's user namespace has no such id");
  CHECK(run_as_nobody(place, "true", {.user = "4242:0"}) ==
        prefix + "4242:0': setresuid: the container's user namespace has no such id");
  CHECK(run_as_nobody(place, "true", {.user = "user"}) ==
        prefix + "user': setgroups: a user namespace without privileges has no supplementary groups");
  CHECK(run_as_nobody(place, "mknod /tmp/x c 1 5 2>/dev/null || echo refused") == "refused\n");
}
