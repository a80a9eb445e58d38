// SPDX-License-Identifier: Apache-2.0
// What a container's options say of its root: other images as volumes, a bound, a backend that is chosen when the host
// is opened.
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <container/box.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/first_supported.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <vector>

using boxes::open_host;
using boxes::plain_box;
using boxes::run;
using boxes::run_script;

namespace {

template <class Rootfs>
using box_with = mortise::container<mortise::image::directory, Rootfs, mortise::isolate::standard>;
/// As many as can be: what is left out has no mounts, and a network stack takes long to end.
using lean_box = mortise::container<mortise::image::directory, mortise::rootfs::overlay,
                                    mortise::isolate::mount_namespace, mortise::isolate::pid_namespace,
                                    mortise::isolate::ipc_namespace, mortise::isolate::standard_filesystems>;
using chosen_box = box_with<mortise::rootfs::first_supported<mortise::rootfs::overlay, mortise::rootfs::copy>>;

/// A second image of one file.
std::string other_image(const boxes::scene& place, const std::string& name) {
  const std::string path = place / name;
  boxes::check(mortise::sys::make_directories(path + "/d"));
  const auto file = mortise::sys::open(path + "/d/file", O_WRONLY | O_CREAT, 0644);
  boxes::check(file.status());
  boxes::check(mortise::sys::write_all(file->get(), "of " + name + "\n"));
  return path;
}

std::string mount_table() {
  const auto table = mortise::sys::read_file("/proc/self/mountinfo", 64 << 20);
  boxes::check(table.status());
  return *table;
}

/// The mount table while `count` containers live and when they are gone, compared with the one before.
std::string launch_many(const boxes::scene& place, int count) {
  // What the launcher mounts where mounts are shared would be seen here; what other programs mount meanwhile is not.
  boxes::check(::mount("", "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0, "share mounts");
  constexpr rlimit descriptors{16'384, 16'384};
  boxes::check(::setrlimit(RLIMIT_NOFILE, &descriptors) == 0, "setrlimit");
  const std::string state = place.host_options().state;  // where records belong: on a disk each waits to be safe there
  boxes::check(::mkdir(state.c_str(), 0700) == 0 && ::mount("tmpfs", state.c_str(), "tmpfs", 0, "mode=700") == 0,
               "mount a tmpfs");
  auto host = open_host<lean_box>(place);
  const std::string before = mount_table();
  std::vector<lean_box> all;
  for (int each = 0; each < count; ++each) {
    auto box = host.launch({.image = place.image(), .args = {"/bin/sleep", "1000"}});
    boxes::check(box.status());
    all.push_back(*std::move(box));
  }
  std::string out = mount_table() == before ? "same " : mount_table();
  for (auto& each : all) boxes::check(each.destroy());
  return out + (mount_table() == before ? "same" : mount_table());
}

/// The same in a mount namespace of its own, of which nothing is left.
std::string tables_with(int count) {
  const boxes::scene place;
  const support::leak_snapshot before;
  const auto seen = support::in_child({.namespaces = CLONE_NEWNS, .deadline = std::chrono::minutes(5)},
                                      [&] { return launch_many(place, count); });
  CHECK(seen.ok());
  CHECK(before.leaked() == "");
  return seen.text;
}

}  // namespace

TEST_CASE("container: other images are volumes, read-only, wherever they are wanted") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const support::leak_snapshot before;
  plain_box::launch_options options;
  options.volumes = {{other_image(place, "one"), "/one"}, {other_image(place, "two"), "/tmp/deep/two"}};
  const auto ran = run_script(place, "cat /one/d/file /tmp/deep/two/d/file; touch /one/x 2>&1", options);
  CHECK(ran.message() == "");
  CHECK(ran.text == "of one\nof two\ntouch: /one/x: Read-only file system\n");
  CHECK(before.leaked() == "");
}

TEST_CASE("container: an image volume that cannot be is named") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const auto refusal = [&](const std::string& image, const std::string& target) {
    plain_box::launch_options options;
    options.volumes = {{image, target}};
    return run_script(place, "true", options).message();
  };
  const std::string image = other_image(place, "one");
  CHECK(refusal(image, "/proc/x").find("image volume '/proc/x': nothing may be mounted over /proc or /sys") !=
        std::string::npos);
  CHECK(refusal(image, "x").find("the target must be an absolute path in the container") != std::string::npos);
  CHECK(refusal(place / "missing", "/x").find("No such file or directory") != std::string::npos);
}

TEST_CASE("container: what it may write is bounded, where its backend can bound it") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  plain_box::launch_options options;
  options.writable = mortise::bytes{1 << 20};
  const auto ran =
      run_script(place, "dd if=/dev/zero of=/big bs=64k count=64 2>/dev/null || echo full; rm /big; echo on", options);
  CHECK(ran.message() == "");
  CHECK(ran.text == "full\non\n");
  using bound = box_with<mortise::rootfs::bind>;
  bound::launch_options refused;
  refused.writable = mortise::bytes{1 << 20};
  CHECK(run_script<bound>(place, "true", refused).message().find("limit what may be written: backend 'bind' cannot") !=
        std::string::npos);
}

TEST_CASE("container: what it has written is counted, bounded or not") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = open_host<plain_box>(place);
  for (const bool bounded : {false, true}) {
    plain_box::launch_options options;
    options.image = place.image();
    options.args = {"/bin/sh", "-c", "dd if=/dev/zero of=/big bs=64k count=8 2>/dev/null; echo done; exec sleep 1000"};
    options.stdio[1] = mortise::launch::stream::pipe();
    if (bounded) options.writable = mortise::bytes{1 << 20};
    auto box = host.launch(options);
    REQUIRE_MESSAGE(box.ok(), mortise::message(box.status()));
    const auto output = box->take_stream(1);
    std::byte said[16];
    REQUIRE(*mortise::sys::read_some(output.get(), said) == 5);
    const auto data = mortise::sys::open(place.host_options().directory, O_RDONLY | O_DIRECTORY);
    REQUIRE(::syncfs(data->get()) == 0);  // blocks are counted once they are allocated
    const auto use = box->disk_use();
    REQUIRE_MESSAGE(use.ok(), mortise::message(use.status()));
    CHECK(use->used.count >= 512 << 10);
    CHECK(use->used.count < 1 << 20);
    CHECK(use->inodes >= 3);
    REQUIRE(box->destroy().ok());
  }
}

TEST_CASE("container: a backend that is chosen when the host is opened") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  const support::leak_snapshot before;
  chosen_box::launch_options options;
  options.volumes = {{other_image(place, "one"), "/one"}};
  const auto ran = run_script<chosen_box>(place, "cat /one/d/file; touch /x && ls /x", options);
  CHECK(ran.message() == "");
  CHECK(ran.text == "of one\n/x\n");
  CHECK(before.leaked() == "");
}

TEST_CASE("container: a backend that is named when the host is opened") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto backend = mortise::rootfs::first_supported<mortise::rootfs::overlay, mortise::rootfs::copy>::only("copy");
  REQUIRE(backend.ok());
  auto host = chosen_box::host::open(place.host_options(), *std::move(backend));
  REQUIRE(host.ok());
  CHECK(host->backend().chosen() == "copy");
}

TEST_CASE("container: what is mounted for it is never seen on the host") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  CHECK(tables_with(10) == "same same");
}

TEST_CASE("container: a thousand live, and the host's mount table does not grow") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  CHECK(tables_with(1000) == "same same");
}
