// SPDX-License-Identifier: Apache-2.0
// Containers whose users are a range of the host's, launched by root: the image's files are theirs, and nothing is
// copied.
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <container/box.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/memory.hpp>
#include <mortise/isolate/volumes.hpp>
#include <mortise/rootfs/mapped_overlay.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/mapped_ids.hpp>
#include <support/skip.hpp>

using boxes::run_script;
using mortise::isolate::mapped_user_namespace;
using mortise::isolate::volumes;

namespace {

using mapped_box =
    mortise::container<mortise::image::directory, mortise::rootfs::mapped_overlay, mortise::isolate::standard_mapped,
                       mortise::isolate::cgroup, mortise::isolate::memory, volumes>;

/// Root in the container is the host's user 100000.
mapped_box::launch_options options_with(mapped_box::settings with = {}) {
  mapped_box::launch_options out;
  out.with = std::move(with);
  out.with.set(mapped_user_namespace::ids(100'000, 65'536));
  out.id = *mortise::container_id::parse("x");
  return out;
}

std::string said(const boxes::scene& place, const std::string& script, const mapped_box::launch_options& options) {
  const auto ran = run_script<mapped_box>(place, script, options);
  return ran.status.ok() ? ran.text : ran.message();
}

bool missing() { return support::missing_mapped_ids() || support::missing_program("busybox"); }

}  // namespace

TEST_CASE("mapped: the image's files belong to the container's users, and so does what they write") {
  if (missing()) return;
  boxes::scene place;
  const support::leak_snapshot before;
  place.write("etc/owned", "owned\n");
  REQUIRE(::chown((place.image() + "/etc/owned").c_str(), 1000, 100) == 0);
  CHECK(said(place, "stat -c '%u:%g %n' / /etc/owned /bin/busybox; cat /proc/self/uid_map", options_with()) ==
        "0:0 /\n1000:100 /etc/owned\n0:0 /bin/busybox\n         0     100000      65536\n");
  CHECK(said(place,
             "echo x > /new && stat -c '%u %n' /new && chmod 4755 /etc/owned && su user -c 'id -u; id -g; echo y > "
             "/tmp/mine; touch /etc/x 2>/dev/null || echo no; stat -c %u /tmp/mine' 2>&1 || chmod 1777 /tmp",
             options_with())
            .starts_with("0 /new\n1000\n100\n"));
  struct stat about{};
  REQUIRE(::stat((place.image() + "/etc/owned").c_str(), &about) == 0);
  CHECK_MESSAGE(about.st_uid == 1000, "the layer is as it was");
  CHECK((about.st_mode & 07777) == 0644);
  CHECK(before.leaked() == "");
}

TEST_CASE("mapped: on the host they are users without any rights") {
  if (missing()) return;
  const boxes::scene place;
  auto host = boxes::open_host<mapped_box>(place);
  auto options = options_with();
  options.image = place.image();
  options.args = {"/bin/sh", "-c", "echo x > /new; echo ready; exec sleep 1000"};
  options.stdio[1] = mortise::launch::stream::pipe();
  auto box = host.launch(options);
  REQUIRE_MESSAGE(box.ok(), mortise::message(box.status()));
  std::byte text[16];
  REQUIRE(*mortise::sys::read_some(box->take_stream(1).get(), text) == 6);
  struct stat about{};
  REQUIRE(::stat(mortise::concat("/proc/", box->pid()).c_str(), &about) == 0);
  CHECK(about.st_uid == 100'000);
  REQUIRE(::stat(mortise::concat("/proc/", box->pid(), "/root/new").c_str(), &about) == 0);
  CHECK(about.st_uid == 100'000);
  CHECK(box->disk_use()->inodes > 3);
  CHECK(box->destroy().ok());
}

TEST_CASE("mapped: all of a standard container works in it") {
  if (missing()) return;
  const boxes::scene place;
  CHECK(said(place, "id -u; id -g; echo $$; hostname; echo x > /tmp/new; cat /tmp/new", options_with()) ==
        "0\n0\n1\nx\nx\n");
  CHECK(said(place, "echo x > /dev/null; ls /sys/class/net; ls -d /dev/shm /dev/mqueue /dev/pts/ptmx",
             options_with()) == "lo\n/dev/mqueue\n/dev/pts/ptmx\n/dev/shm\n");
  CHECK(said(place,
             "mknod /null c 1 3 2>/dev/null || echo none; (echo x > /proc/sys/kernel/hostname) 2>/dev/null || "
             "echo sealed",
             options_with()) == "none\nsealed\n");
  const auto with_volumes =
      options_with({volumes::bind(place.image() + "/etc", "/v", volumes::access::read_only),
                    volumes::tmpfs("/t", {1 << 20}), mortise::isolate::memory::limit(mortise::bytes{64 << 20})});
  CHECK(said(place, "grep -c users /v/group; touch /v/x 2>/dev/null || echo sealed; touch /t/x && stat -c %u /t/x",
             with_volumes) == "1\nsealed\n0\n");
  auto as_user = options_with();
  as_user.user = "user";
  CHECK(said(place, "id -u; id -g; touch /tmp/y 2>/dev/null || echo no", as_user) == "1000\n100\nno\n");
}

TEST_CASE("mapped: a bound holds, and image volumes are shown as the container's") {
  if (missing()) return;
  boxes::scene place;
  auto bounded = options_with();
  bounded.writable = mortise::bytes{1 << 20};
  CHECK(said(place, "dd if=/dev/zero of=/big bs=64k count=64 2>/dev/null || echo full; stat -c %u /big", bounded) ==
        "full\n0\n");
  auto with_image = options_with();
  with_image.volumes = {{place.image(), "/other"}};
  CHECK(said(place, "stat -c %u /other/etc/passwd; touch /other/x 2>/dev/null || echo sealed", with_image) ==
        "0\nsealed\n");
}

TEST_CASE("mapped: what cannot be had is refused by name, and leaves nothing") {
  if (missing()) return;
  const boxes::scene place;
  const support::leak_snapshot before;
  mapped_box::launch_options none;
  CHECK(run_script<mapped_box>(place, "true", none).message().find("map ids: there must be one at least") !=
        std::string::npos);
  auto few = options_with();
  few.with.set(mapped_user_namespace::ids(100'000, 10));
  few.user = "user";
  CHECK(run_script<mapped_box>(place, "true", few).message() ==
        "launch container 'x': become user 'user': setgroups: the container's user namespace has no such id");
  CHECK(before.leaked() == "");
}
