// SPDX-License-Identifier: Apache-2.0
// Known ways out of containers, by the cases that made them known.
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <atomic>
#include <container/box.hpp>
#include <mortise/isolate/volumes.hpp>
#include <mortise/sys/call.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <thread>

using boxes::run_script;
using volume_box = boxes::box<mortise::isolate::volumes>;
using mortise::isolate::volumes;

namespace {

bool missing() { return support::missing_root() || support::missing_program("busybox"); }

const auto id_x = *mortise::container_id::parse("x");

/// The message of a launch that has to fail, without "launch container 'x': ".
template <class Box = boxes::plain_box>
std::string refusal(const boxes::scene& place, typename Box::launch_options options = {}) {
  options.id = id_x;
  const auto ran = run_script<Box>(place, "true", options);
  const std::string prefix = "launch container 'x': ";
  return ran.message().starts_with(prefix) ? ran.message().substr(prefix.size()) : "no refusal: " + ran.message();
}

}  // namespace

TEST_CASE("security: descriptors of the caller stay outside, and no working directory leads to one (CVE-2024-21626)") {
  if (missing()) return;
  const boxes::scene place;
  const auto listed = support::in_child([&] {
    for (int count = 0; count < 900; ++count) boxes::check(::open("/", O_RDONLY) >= 0, "open");  // not close-on-exec
    return run_script(place, "ls /proc/self/fd | wc -l 2>/dev/null || ls /proc/self/fd").text;
  });
  CHECK(listed.text.find('4') == listed.text.size() - 2);  // 0, 1, 2 and the listing's own
  for (int fd = 0; fd <= 20; ++fd) {
    const auto ran = run_script(place, "pwd; ls", {.working_directory = "/proc/self/fd/" + std::to_string(fd)});
    CHECK(!ran.status.ok());
    CHECK(ran.text == "");
  }
  for (const char* const link : {"/proc/self/cwd", "/proc/1/root", "/proc/self/exe"})
    CHECK(!run_script(place, "pwd", {.working_directory = link}).status.ok());
}

TEST_CASE("security: links of the image in place of /proc, /sys and /dev are refused (runc CVE-2026-41579)") {
  if (missing()) return;
  for (const char* const name : {"proc", "sys", "dev"}) {
    boxes::scene place;
    place.link("/tmp", name);
    CHECK(refusal(place) == mortise::concat("attach to '/", name, "': open: Too many levels of symbolic links"));
  }
  boxes::scene place;
  place.remove("proc");
  place.write("proc", "a file");
  CHECK(refusal(place) == "attach to '/proc': move_mount: Invalid argument");
}

TEST_CASE("security: devices of the image are not used (CVE-2025-31133)") {
  if (missing()) return;
  boxes::scene place;
  place.link("/proc/sys/kernel/core_pattern", "dev/null");
  place.link("/etc/passwd", "dev/console");
  const auto ran = run_script(
      place, "stat -c '%F %t:%T' /dev/null /dev/zero; ls -d /dev/console; cat /proc/kcore /proc/keys 2>/dev/null");
  CHECK(ran.text ==
        "character special file 1:3\ncharacter special file 1:5\nls: /dev/console: No such file or directory\n");
  place.write("fake", "fake");
  volume_box::launch_options options;
  options.with = {volumes::bind(place.image() + "/fake", "/dev/null")};
  CHECK(refusal<volume_box>(place, options).ends_with("check /dev/null: No such device"));
}

TEST_CASE("security: what is masked is empty, what is read-only cannot be written (CVE-2018-10892)") {
  if (missing()) return;
  const boxes::scene place;
  const auto ran = run_script(
      place,
      "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null; ls -A /sys/firmware; ls -A /proc/acpi 2>/dev/null;"
      "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity"
      " /sys/kernel/uevent_helper /sys/kernel/profiling /proc/acpi/x /sys/firmware/x; do"
      " (echo x > $f) 2>/dev/null && echo wrote $f; done; mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; "
      "true");
  CHECK(ran.text == "");
  CHECK(ran.code == 0);
}

TEST_CASE("security: devices that a container makes do not work") {
  if (missing()) return;
  boxes::scene place;
  volume_box::launch_options options;
  options.with = {volumes::bind(place / "image/home", "/shared"), volumes::tmpfs("/scratch", {1 << 20})};
  const auto ran = run_script<volume_box>(
      place,
      "for d in /tmp /dev /dev/shm /shared /scratch /; do mknod $d/zero2 c 1 5 && (dd if=$d/zero2 of=/dev/null bs=1 "
      "count=1 2>/dev/null && echo $d works); done;"
      "dd if=/dev/zero of=/dev/null bs=1 count=1 2>/dev/null && echo zero works; chmod 600 /dev/zero; stat -c %a "
      "/dev/zero; mknod /dev/zero3 c 1 5; rm -f /dev/zero 2>/dev/null; true",
      options);
  CHECK(ran.text == "zero works\n600\n");
  struct stat host{};
  REQUIRE(::stat("/dev/zero", &host) == 0);
  CHECK((host.st_mode & 07777) == 0666);
}

TEST_CASE("security: volumes keep out of /proc and /sys, however they are spelt (CVE-2019-16884)") {
  if (missing()) return;
  boxes::scene place;
  place.link("/proc", "data");
  place.link("../sys/kernel", "home/deep");
  const auto over = [&](const std::string& target) {
    volume_box::launch_options options;
    options.with = {volumes::tmpfs(target, {4096})};
    return refusal<volume_box>(place, options);
  };
  for (const char* const target : {"/proc", "/proc/self/attr", "//sys/", "/./proc/x"})
    CHECK(over(target) == mortise::concat("volumes: volume '", target, "': nothing may be mounted over /proc or /sys"));
  CHECK(over("/") == "volumes: volume '/': the target must not be the root itself");
  CHECK(over("/a/../proc") == "volumes: volume '/a/../proc': the target must not contain '..'");
  CHECK(over("x") == "volumes: volume 'x': the target must be an absolute path in the container");
  CHECK(over("/data") == "attach to '/data': open: a link leads into /proc or /sys, over which nothing may be mounted");
  CHECK(over("/data/self/attr").starts_with("attach to '/data/self/attr': open: "));
  CHECK(over("/home/deep").ends_with("over which nothing may be mounted"));
}

TEST_CASE("security: a volume's source is no link, its target stays in the root (CVE-2022-23648)") {
  if (missing()) return;
  boxes::scene place;
  const auto bind = [&](const std::string& source, const std::string& target) {
    volume_box::launch_options options;
    options.with = {volumes::bind(source, target, volumes::access::read_only)};
    return options;
  };
  REQUIRE(::symlink("/etc", (place / "link").c_str()) == 0);
  CHECK(refusal<volume_box>(place, bind(place / "link", "/x")) ==
        mortise::concat("volumes: volume '", place / "link",
                        "': the source is a symbolic link (name what it points to)"));
  CHECK(refusal<volume_box>(place, bind("/nowhere", "/x")) == "volumes: volume '/nowhere': No such file or directory");
  CHECK(refusal<volume_box>(place, bind("etc", "/x")) == "volumes: volume 'etc': the source must be an absolute path");
  place.link("../../../../../../../" + place / "outside", "out");
  CHECK(refusal<volume_box>(place, bind(place.image() + "/etc", "/out/deep")) ==
        "attach to '/out/deep': make directory: No such file or directory");
  CHECK(::access((place / "outside").c_str(), F_OK) != 0);
  const auto read_only =
      run_script<volume_box>(place, "cat /v/group > /dev/null && ! touch /v/new 2>/dev/null && echo sealed",
                             bind(place.image() + "/etc", "/v"));
  CHECK(read_only.text == "sealed\n");
}

TEST_CASE("security: a target that is swapped while it is mounted never leads outside (CVE-2021-30465)") {
  if (missing()) return;
  boxes::scene place;
  const std::string shared = place / "shared";
  const std::string outside = place / "outside";
  for (const std::string& each : {shared, outside, shared + "/target"})
    REQUIRE(mortise::sys::make_directories(each).ok());
  REQUIRE(::symlink(("/../../.." + outside).c_str(), (shared + "/link").c_str()) == 0);
  const support::leak_snapshot before;
  std::atomic<bool> done = false;
  std::thread racer([&] {
    while (!done)
      (void)mortise::sys::call(SYS_renameat2, AT_FDCWD, (shared + "/target").c_str(), AT_FDCWD,
                               (shared + "/link").c_str(), RENAME_EXCHANGE);
  });
  volume_box::launch_options options;
  options.with = {volumes::bind(shared, "/shared"), volumes::tmpfs("/shared/target", {1 << 20}),
                  volumes::bind(place.image() + "/etc", "/shared/target/new")};
  for (int count = 0; count < 30; ++count) (void)run_script<volume_box>(place, "touch /shared/target/written", options);
  done = true;
  racer.join();
  std::string found;
  CHECK(mortise::sys::for_each_entry(AT_FDCWD, outside, [&](std::string_view name, unsigned char) {
          found += name;
          return absl::OkStatus();
        }).ok());
  CHECK(found == "");
  CHECK(before.leaked() == "");
}

TEST_CASE("security: root has fourteen capabilities, others none, nobody inheritable ones (CVE-2022-24769)") {
  if (missing()) return;
  const boxes::scene place;
  const std::string script = "grep -E 'Cap|NoNewPrivs' /proc/self/status";
  const auto look = [&](const std::string& user) {
    return support::in_child([&] {
             __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
             __user_cap_data_struct data[2] = {};
             boxes::check(mortise::sys::call(SYS_capget, &header, data) == 0, "capget");
             for (auto& half : data) half.inheritable = half.permitted;
             boxes::check(mortise::sys::call(SYS_capset, &header, data) == 0, "capset");
             return run_script(place, script, {.user = user}).text;
           })
        .text;
  };
  CHECK(look("") ==
        "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"
        "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
  CHECK(look("1234") ==
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
        "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_CASE("security: user and groups are those of the container's files and no others (CVE-2022-36109)") {
  if (missing()) return;
  boxes::scene place;
  const auto who = [&](const std::string& user) {
    return support::in_child([&] {
             const gid_t callers[] = {7, 8, 9};
             boxes::check(::setgroups(3, callers) == 0, "setgroups");
             const auto ran =
                 run_script(place, "grep -E '^(Uid|Gid|Groups)' /proc/self/status", {.user = user, .id = id_x});
             return ran.status.ok() ? ran.text : ran.message();
           })
        .text;
  };
  const auto ids = [](const std::string& uid, const std::string& gid, const std::string& groups) {
    const auto four = [](const std::string& id) { return id + '\t' + id + '\t' + id + '\t' + id; };
    return "Uid:\t" + four(uid) + "\nGid:\t" + four(gid) + "\nGroups:\t" + groups + " \n";
  };
  CHECK(who("") == ids("0", "0", "0"));
  CHECK(who("root") == ids("0", "0", "0 10"));
  CHECK(who("user") == ids("1000", "100", "10 100 2000"));
  CHECK(who("1000") == ids("1000", "100", "100"));
  CHECK(who("4242") == ids("4242", "0", "0"));
  CHECK(who("user:extra") == ids("1000", "2000", "2000"));
  CHECK(who("4242:4243") == ids("4242", "4243", "4243"));
  CHECK(who("4294967294") == ids("4294967294", "0", "0"));
  place.write("etc/passwd",
              "1000:x:0:0::/:/bin/sh\nuser:x:4294967295:0::/:/bin/sh\nuser:x:-1:0::/:/bin/sh\nuser:x:7:7::/:/bin/sh\n");
  CHECK(who("1000") == ids("1000", "0", "0"));       // a number is never a name
  CHECK(who("user") == ids("7", "7", "7 10 2000"));  // malformed lines do not count
  const auto refused = [](const std::string& user, const std::string& why) {
    return "launch container 'x': become user '" + user + "': " + why;
  };
  CHECK(who("nobody") == refused("nobody", "user: the container's /etc/passwd has no such name"));
  CHECK(who("0:none") ==
        "launch container 'x': become user '0:none': group: the container's /etc/group has no such name");
  for (const char* const number : {"4294967295", "4294967296", "99999999999999999999"}) {
    CHECK(who(number) == refused(number, "user: its number is out of range"));
    CHECK(who(std::string("0:") + number) == refused(std::string("0:") + number, "group: its number is out of range"));
  }
  CHECK(who("-1") == refused("-1", "user: the container's /etc/passwd has no such name"));
  place.write("etc/owned", "");
  REQUIRE(::chown((place.image() + "/etc/owned").c_str(), 1234, 4321) == 0);
  place.link("/etc/owned", "etc/link");
  CHECK(who("/etc/owned:/etc/link") == ids("1234", "4321", "4321"));
  CHECK(who("/etc/owned") == ids("1234", "0", "0"));
  CHECK(who("/etc/none:0").ends_with("become user '/etc/none:0': user: No such file or directory"));
  CHECK(who("0:/etc/none").ends_with("become user '0:/etc/none': group: No such file or directory"));
}

TEST_CASE("security: /etc/passwd may be anything (CVE-2024-9676)") {
  if (missing()) return;
  boxes::scene place;
  const auto become_user = [&] { return refusal(place, {.user = "user"}); };
  place.link("/etc/real", "etc/passwd");
  place.write("etc/real", "user:x:1000:1000::/:/bin/sh\n");
  CHECK(run_script(place, "id -u", {.user = "user"}).text == "1000\n");
  place.link("/proc/self/fd/0", "etc/passwd");
  CHECK(become_user() == "become user 'user': /etc/passwd: Too many levels of symbolic links");
  place.link("passwd", "etc/passwd");
  CHECK(become_user() == "become user 'user': /etc/passwd: Too many levels of symbolic links");
  place.link("/nowhere", "etc/passwd");
  CHECK(become_user() == "become user 'user': user: the container's /etc/passwd has no such name");
  place.remove("etc/passwd");
  place.make_directory("etc/passwd");
  CHECK(become_user() == "become user 'user': /etc/passwd: it is no regular file");
  place.remove("etc/passwd");
  REQUIRE(::mkfifo((place.image() + "/etc/passwd").c_str(), 0644) == 0);
  CHECK(become_user() == "become user 'user': /etc/passwd: it is no regular file");
  place.write("etc/passwd", std::string((1 << 20) + 1, 'x'));
  CHECK(become_user() == "become user 'user': /etc/passwd: it is larger than a mebibyte");
  place.remove("etc");
  CHECK(become_user() == "become user 'user': user: the container's /etc/passwd has no such name");
}

TEST_CASE("security: a session of its own, without the caller's terminal (CVE-2017-5226)") {
  if (missing()) return;
  const boxes::scene place;
  CHECK(run_script(place, "cat /proc/1/stat").text.find(" 0 1 1 0 -1 ") != std::string::npos);
}

TEST_CASE("security: the caller's program is out of reach (CVE-2019-5736)") {
  if (missing()) return;
  boxes::scene place;
  place.write("bin/evil", "#!/proc/self/exe\n", 0755);
  struct stat before{};
  struct stat after{};
  REQUIRE(::stat("/proc/self/exe", &before) == 0);
  CHECK(refusal(place, {.args = {"/bin/evil"}}).starts_with("execute '/bin/evil': execve: "));
  const auto ran = run_script(place, "for p in /proc/[0-9]*; do readlink $p/exe; done");
  CHECK(ran.text.find("mortise") == std::string::npos);
  REQUIRE(::stat("/proc/self/exe", &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
  CHECK(before.st_size == after.st_size);
}

TEST_CASE("security: nothing of the host's tree, processes or sockets is seen") {
  if (missing()) return;
  const boxes::scene place;
  const mortise::sys::unique_fd abstract(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{AF_UNIX, {}};
  const std::string text = "mortise-test-" + std::to_string(::getpid());
  text.copy(name.sun_path + 1, text.size());
  REQUIRE(::bind(abstract.get(), reinterpret_cast<const sockaddr*>(&name),
                 static_cast<socklen_t>(sizeof(sa_family_t) + 1 + text.size())) == 0);
  const auto ran = run_script(place,
                              "grep -c mortise-test /proc/net/unix; ls -d /proc/[0-9]*; ls /sys/class/net; ls /work "
                              "/usr 2>/dev/null; mount | grep -c ^/dev/; true");
  CHECK(ran.text.starts_with("0\n/proc/1\n"));
  CHECK(ran.text.ends_with("lo\n0\n"));
  CHECK(run_script(place, "mount -t tmpfs none /tmp 2>/dev/null || echo refused").text == "refused\n");
  CHECK(run_script(place, "hostname").text.size() == 13);
}
