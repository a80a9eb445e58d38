// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What holds for every rootfs backend, with one layer. A test of a backend says
/// `TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, mortise::rootfs::overlay, ...);`

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <conformance/killed_at.hpp>
#include <conformance/scene.hpp>
#include <mortise/base/text.hpp>
#include <mortise/rootfs/copy.hpp>
#include <string>
#include <type_traits>
#include <vector>

namespace conformance {

/// A layer with one of each thing that any user can make.
inline std::vector<entry> one_of_each() {
  return {directory("etc", 0750).with_time(1'100'000'000),
          file("etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0600),
          file("bin/tool", "#!", 04755),
          file("bin/group-tool", "#!", 02755),
          symlink("bin/alias", "tool"),
          symlink("escape", "/../../../../etc/passwd"),
          symlink("dangling", "no/such/thing"),
          file("one-name", "same"),
          hard_link("other-name", "one-name"),
          hard_link("etc/third-name", "one-name"),
          fifo("pipe", 0640),
          file("noted").with_xattr("user.note", std::string("a\0b", 3)),
          directory("noted-directory").with_xattr("user.note", "of a directory"),
          directory("sticky", 01777),
          file("\xff\n odd name", "odd")};
}

inline std::vector<std::string> one_of_each_lines() {
  return {"etc/",
          "etc/passwd: root:x:0:0::/root:/bin/sh\n",
          "bin/",
          "bin/tool: #!",
          "bin/group-tool: #!",
          "bin/alias -> tool",
          "escape -> /../../../../etc/passwd",
          "dangling -> no/such/thing",
          "one-name: same",
          "other-name: same",
          "etc/third-name: same",
          "pipe|",
          "noted: ",
          "noted-directory/",
          "sticky/",
          "\xff\n odd name: odd"};
}

/// "0750 1 0:0 1100000000.123456789": mode, links (not of directories), owner and time of something.
inline std::string attributes_of(const std::string& path) {
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0) return path + ": " + std::strerror(errno);
  char text[128];
  std::snprintf(text, sizeof text, "%s: %04o %lu %u:%u %ld.%09ld\n", path.c_str(), about.st_mode & 07777,
                S_ISDIR(about.st_mode) ? 0UL : static_cast<unsigned long>(about.st_nlink), about.st_uid, about.st_gid,
                about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
  return text;
}

inline std::string xattr_of(const std::string& path, const char* name) {
  char value[256];
  const ssize_t size = ::lgetxattr(path.c_str(), name, value, sizeof value);
  return size < 0 ? std::strerror(errno) : std::string(value, static_cast<std::size_t>(size));
}

inline std::string xattr_names(const std::string& path) {
  char names[4096];
  const ssize_t size = ::llistxattr(path.c_str(), names, sizeof names);
  std::string text(names, size > 0 ? static_cast<std::size_t>(size) : 0);
  for (char& each : text) each = each == '\0' ? ' ' : each;
  return text;
}

template <class Backend>
void shows_a_layer(scene<Backend>& s) {
  s.layer(one_of_each());
  s.expect_tree(one_of_each_lines());
}

template <class Backend>
void keeps_attributes(scene<Backend>& s) {
  s.layer(one_of_each());
  const auto seen = s.enter(s.provision(s.new_box()), [] {
    std::string text;
    for (const char* path : {"/etc", "/etc/passwd", "/bin/tool", "/bin/group-tool", "/bin/alias", "/other-name",
                             "/pipe", "/noted-directory", "/sticky"})
      text += attributes_of(path);
    return text + xattr_of("/noted", "user.note") + '\n' + xattr_of("/noted-directory", "user.note") + '\n';
  });
  s.expect_same(seen.text,
                "/etc: 0750 0 0:0 1100000000.123456789\n"
                "/etc/passwd: 0600 1 0:0 1000000000.123456789\n"
                "/bin/tool: 4755 1 0:0 1000000000.123456789\n"
                "/bin/group-tool: 2755 1 0:0 1000000000.123456789\n"
                "/bin/alias: 0777 1 0:0 1000000000.123456789\n"
                "/other-name: 0644 3 0:0 1000000000.123456789\n"
                "/pipe: 0640 1 0:0 1000000000.123456789\n"
                "/noted-directory: 0755 0 0:0 1000000000.123456789\n"
                "/sticky: 1777 0 0:0 1000000000.123456789\n" +
                    std::string("a\0b\n", 4) + "of a directory\n",
                "the attributes");
}

template <class Backend>
void keeps_what_only_root_can_make(scene<Backend>& s) {
  if constexpr (scene<Backend>::format::keeps_owners) {
    const std::string capability("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                                 20);
    s.layer({directory("home").with_owner(1000), file("home/file", "hers", 06711).with_owner(1000),
             symlink("home/link", "file").with_owner(1000), device("zero", 1, 5),
             file("ping", "", 0755)
                 .with_owner(7)
                 .with_xattr("security.capability", capability)
                 .with_xattr("trusted.x", "y")});
    const auto seen = s.enter(s.provision(s.new_box()), [&] {
      struct stat zero{};
      const bool is_zero = ::lstat("/zero", &zero) == 0 && S_ISCHR(zero.st_mode) && zero.st_rdev == makedev(1, 5);
      return attributes_of("/home") + attributes_of("/home/file") + attributes_of("/home/link") +
             (is_zero ? "zero\n" : "no device\n") +
             (xattr_of("/ping", "security.capability") == capability ? "capability\n" : "no capability\n") +
             xattr_of("/ping", "trusted.x") + '\n';
    });
    s.expect_same(seen.text,
                  "/home: 0755 0 1000:1001 1000000000.123456789\n"
                  "/home/file: 6711 1 1000:1001 1000000000.123456789\n"
                  "/home/link: 0777 1 1000:1001 1000000000.123456789\nzero\ncapability\ny\n",
                  "what only root can make");
  }
}

template <class Backend>
void shows_the_root_directory_itself(scene<Backend>& s) {
  s.layer({directory(".", 0711).with_xattr("user.root", "r").with_time(1'200'000'000)});
  const auto seen = s.enter(s.provision(s.new_box()), [] { return attributes_of("/") + xattr_of("/", "user.root"); });
  s.expect_same(seen.text, "/: 0711 0 0:0 1200000000.123456789\nr", "the root");
  s.expect_tree({});
}

template <class Backend>
void leaves_the_host_behind(scene<Backend>& s) {
  s.layer({file("here")});
  const std::string host_file = s.directory() + "/host-file";
  write_file(host_file, "host");
  const auto seen = s.enter(s.provision(s.new_box()), [&] {
    struct stat root{}, above{}, here{};
    ::stat("/", &root);
    ::stat("/..", &above);
    ::stat(".", &here);
    const bool is_top = root.st_ino == above.st_ino && root.st_dev == above.st_dev && here.st_ino == root.st_ino;
    return mortise::concat(is_top ? "top " : "not the top ",
                           ::access(host_file.c_str(), F_OK) == 0 ? "host" : "no host");
  });
  s.expect_same(seen.text, "top no host", "the root's surroundings");
}

template <class Backend>
void runs_a_program(scene<Backend>& s) {
  const auto shell = mortise::sys::read_file("/bin/busybox", 64 << 20);
  check(shell.ok(), "read /bin/busybox (Debian: busybox-static)");
  s.layer({file("bin/busybox", *shell, 0755), symlink("bin/sh", "busybox")});
  const auto ended = s.enter(s.provision(s.new_box()), [] {
    ::execl("/bin/sh", "sh", "-c", "exit 42", static_cast<char*>(nullptr));
    return errno;
  });
  s.expect(ended.code == 42, "a program runs in the root; it ended with " + std::to_string(ended.code));
}

template <class Backend>
void keeps_writes_from_layers(scene<Backend>& s) {
  s.layer(one_of_each());
  const std::string before = tree_text(s.layers().front().directory);
  const std::string box = s.new_box();
  mortise::model::plan plan;
  const auto made = s.try_provision(box, plan);
  check(made.ok(), "provision");
  const auto wrote = s.enter(plan, [] {
    if (::mkdir("/new", 0700) != 0) return std::string(std::strerror(errno));
    write_file("/new/file", "new");
    write_file("/etc/passwd", "changed");
    check(::chmod("/bin/tool", 0) == 0 && ::unlink("/one-name") == 0 && ::unlink("/escape") == 0, "change");
    check(::rename("/bin/alias", "/etc/alias") == 0 && ::rmdir("/sticky") == 0 && ::mkdir("/sticky", 0700) == 0,
          "move");
    check(::setxattr("/noted", "user.note", "x", 1, 0) == 0 && xattr_of("/noted", "user.note") == "x", "set attribute");
    check(::removexattr("/noted-directory", "user.note") == 0, "remove attribute");
    check(xattr_of("/noted-directory", "user.note") == std::strerror(ENODATA), "find no attribute");
    return std::string("wrote");
  });
  const bool read_only = made->writable.empty();
  s.expect_same(wrote.text, read_only ? "Read-only file system" : "wrote", "writing");
  for (const auto& each : made->writable) s.expect(::access(each.c_str(), F_OK) == 0, each + " holds what is written");
  s.expect_same(tree_text(s.layers().front().directory), before, "the layer");
  if (!mortise::model::packed_layers<typename Backend::layer_format>) {
    s.expect_same(xattr_of(s.layers().front().directory + "/noted", "user.note"), std::string("a\0b", 3),
                  "its attribute");
  }
  s.expect_tree(one_of_each_lines());
  s.destroy(box);
  s.expect_same(tree_text(s.layers().front().directory), before, "the layer after destroy");
}

template <class Backend>
void destroys_everything_once(scene<Backend>& s) {
  s.layer(one_of_each());
  const std::string box = s.new_box();
  s.enter(s.provision(box), [] { return tree_text("/"); });
  s.destroy(box);
  const auto again = s.backend().destroy(box);
  s.expect(again.ok() && !*again, "destroying twice is fine, and says false");
  const auto unknown = s.backend().destroy(s.directory() + "/no/such/box");
  s.expect(unknown.ok() && !*unknown, "an unknown directory is false");
  const std::string untouched = s.new_box();
  s.destroy(untouched);
}

/// Names and modes by which a container tries to outlive its destruction.
template <class Backend>
void destroys_what_resists(scene<Backend>& s) {
  s.layer({directory("home")});
  const std::string box = s.new_box();
  mortise::model::plan plan;
  const auto made = s.try_provision(box, plan);
  check(made.ok(), "provision");
  if (!made->writable.empty()) {
    const auto resisted = s.enter(plan, [] {
      check(::chdir("/home") == 0, "enter /home");
      for (int level = 0; level < 3000; ++level) check(::mkdir("deep", 0700) == 0 && ::chdir("deep") == 0, "dig");
      check(::mkdir("/locked", 0700) == 0 && ::mkdir("/locked/\x01\n", 0700) == 0, "make");
      write_file("/locked/\x01\n/\xff", "x", 0);
      check(::symlink("/", "/locked/link") == 0 && ::chmod("/locked/\x01\n", 0) == 0 && ::chmod("/locked", 0) == 0,
            "lock");
      return std::string("dug");
    });
    s.expect_same(resisted.text, "dug", "resistance");
  }
  s.destroy(box);
}

template <class Backend>
void destroys_what_a_killed_process_left(scene<Backend>& s) {
  s.layer({file("d/a", "1"), symlink("l", "d/a")});
  const std::string before = tree_text(s.layers().front().directory);
  int call = 0;
  for (bool killed = true; killed; ++call) {
    const std::string box = s.new_box();
    killed = killed_at(call, [&] {
      const auto plan = s.provision(box);
      support::detail::enter_namespaces(scene<Backend>::namespaces);
      s.enter_here(plan);
      (void)::access("/d/a", F_OK);
    });
    s.destroy(box);
  }
  s.expect(call > 15, "the process was killed at many steps, not only at " + std::to_string(call));
  s.expect_same(tree_text(s.layers().front().directory), before, "the layer");
}

/// A full disk is said, by making the root or to the container, and never in the way of destroying.
template <class Backend>
void survives_a_full_disk(scene<Backend>& s) {
  if constexpr (scene<Backend>::format::keeps_owners) {  // a small disk is mounted by root
    s.layer({file("d/a", std::string(10'000, 'a')), directory("e")});
    const bool read_only = s.is_read_only();
    const support::temporary_tmpfs small(128 << 10);
    const std::string box = small / "box";
    check(::mkdir(box.c_str(), 0700) == 0, "make " + box);
    const auto seen = s.enter(s.provision(box), []() -> std::string {
      const int fd = ::open("/e/large", O_WRONLY | O_CREAT, 0600);
      const std::string piece(1 << 14, 'l');
      while (::write(fd, piece.data(), piece.size()) > 0) continue;
      return fd < 0 ? "not writable" : std::strerror(errno);
    });
    s.expect_same(seen.text, read_only ? "not writable" : "No space left on device", "what a full disk says");
    s.destroy(box);
    const support::temporary_tmpfs full(128 << 10, 2);  // its root, and the box
    const std::string last = full / "box";
    check(::mkdir(last.c_str(), 0700) == 0, "make " + last);
    mortise::model::plan plan;
    const auto made = s.try_provision(last, plan);
    s.expect(mortise::errno_of(made.status()) == ENOSPC, "a root for which there is no inode is ENOSPC");
    s.expect(mortise::message(made.status()).find(last) != std::string_view::npos, "by name");
    s.destroy(last);
  }
}

template <class Backend>
void refuses_a_used_directory(scene<Backend>& s) {
  s.layer({file("a")});
  const std::string box = s.new_box();
  (void)s.provision(box);
  mortise::model::plan plan;
  const auto second = s.try_provision(box, plan);
  s.expect(second.status().code() == absl::StatusCode::kAlreadyExists, "a second provision in one directory fails");
  s.expect(mortise::message(second.status()).find("destroy it first") != std::string_view::npos, "with the remedy");
}

/// The merged layers, read-only, below a path of a container that is made of the same ones.
template <class Backend>
void shows_layers_as_a_volume(scene<Backend>& s) {
  if constexpr (mortise::rootfs::shows<Backend>) {
    s.layer({directory("mnt"), file("d/a", "1"), hard_link("d/b", "d/a"), symlink("l", "d/a")});
    const std::string box = s.new_box();
    const std::string volume = s.new_box();
    mortise::model::plan plan;
    const auto tree = s.backend().show(s.request_for(volume), plan);
    check(tree.ok() && s.try_provision(box, plan).ok(), "show and provision");
    plan.add(mortise::model::stage::volumes, mortise::model::op::attach{*tree, {mortise::model::slot::root, "/mnt"}});
    const auto seen = support::in_child({.namespaces = s.namespaces}, [&] {
      s.enter_here(plan, mortise::model::stage::volumes);
      const bool refused = ::mkdir("/mnt/d/new", 0700) != 0 && errno == EROFS;
      return tree_text("/mnt") + (refused ? "read-only" : "writable");
    });
    s.expect_same(seen.text, text_of({"d/", "d/a: 1", "d/b: 1", "l -> d/a", "mnt/"}) + "read-only", "the volume");
    s.destroy(box);
    s.destroy(volume);
  }
}

/// Programs go on with what they have open, and where they stand, when their root is destroyed.
template <class Backend>
void destroys_a_busy_root(scene<Backend>& s) {
  s.layer({file("d/a", "content")});
  const std::string box = s.new_box();
  const auto plan = s.provision(box);
  const auto ready = mortise::sys::make_pipe();
  const auto go_on = mortise::sys::make_pipe();
  check(ready.ok() && go_on.ok(), "make pipes");
  const pid_t child = ::fork();
  if (child == 0) {
    support::detail::enter_namespaces(scene<Backend>::namespaces);
    s.enter_here(plan);
    const int held = ::open("/d/a", O_RDONLY);
    char byte = ::chdir("/d") == 0 ? 'y' : 'n';
    (void)!::write(ready->write.get(), &byte, 1);
    (void)!::read(go_on->read.get(), &byte, 1);
    char text[16] = {};
    ::_exit(::read(held, text, sizeof text) == 7 ? 0 : 1);
  }
  char byte = 0;
  check(::read(ready->read.get(), &byte, 1) == 1, "the child is in the root");
  s.destroy(box);
  check(::write(go_on->write.get(), "x", 1) == 1, "let it go on");
  int status = 0;
  check(::waitpid(child, &status, 0) == child, "wait");
  s.expect(byte == 'y' && status == 0, "the child still reads what it has open");
}

/// What somebody has mounted over the root is detached, even while in use, and nothing of it is removed.
template <class Backend>
void detaches_what_is_mounted_there(scene<Backend>& s) {
  s.layer({file("d/a", "content")});
  const std::string box = s.new_box();
  (void)s.provision(box);
  const auto seen = support::in_child({.namespaces = s.namespaces}, [&] {
    const std::string root = box + "/root";
    for (const char* const name : {"/below", "/above"}) {
      check(::mount("tmpfs", root.c_str(), "tmpfs", 0, "mode=0755") == 0, "mount over the root");
      write_file(root + name, "theirs");
    }
    check(::chdir(root.c_str()) == 0, "enter what is mounted");
    const auto destroyed = s.backend().destroy(box);
    if (!destroyed.ok()) return std::string(mortise::message(destroyed.status()));
    return mortise::concat(::access(box.c_str(), F_OK) == 0 ? "there " : "gone ", tree_text("."));
  });
  s.expect_same(seen.text, "gone above: theirs\n", "the directory, and what was mounted");
}

/// Makes another container of /image in /boxes, writes into its root, and dies with it there.
template <class Backend>
std::string run_within(const scene<Backend>&) {
  using mortise::model::overlay_layers, mortise::model::unprivileged_overlay_layers;
  constexpr bool privileged = scene<Backend>::format::keeps_owners;
  const mortise::rootfs::basic_copy<std::conditional_t<privileged, overlay_layers, unprivileged_overlay_layers>> copy;
  const std::string box = "/boxes/inner";
  check(::mkdir(box.c_str(), 0700) == 0, "make " + box);
  mortise::model::plan plan;
  const mortise::model::layers layers{{std::nullopt, "/image"}};
  const auto made = copy.provision({layers, box}, plan);
  if (!made.ok()) return std::string(mortise::message(made.status()));
  return scene<Backend>::enter(plan,
                               [] {
                                 write_file("/d/new", "2");
                                 return tree_text("/");
                               })
      .text;
}

/// A container's own containers lie in its root, and go with it.
template <class Backend>
void destroys_roots_within(scene<Backend>& s) {
  using namespace mortise::model;
  s.layer({file("image/d/a", "1"), directory("boxes"), directory("proc")});
  if (s.is_read_only()) return;
  const std::string box = s.new_box();
  plan plan;
  const slot processes = plan.new_slot();
  plan.add(stage::root, op::clone_tree{"/proc", processes, true, 0});
  check(s.try_provision(box, plan).ok(), "provision");
  plan.add(stage::root, op::attach{processes, {slot::root, "/proc"}});
  const auto seen = s.enter(plan, [&] { return run_within(s); });
  s.expect_same(seen.text, "d/\nd/a: 1\nd/new: 2\n", "the root within");
  s.destroy(box);
}

/// What maps a file sees the bytes that reading gives, and reading those which a mapping has changed.
template <class Backend>
void maps_files(scene<Backend>& s) {
  std::string text(300'000, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(at * 7 + at / 251);
  s.layer({file("f", text)});
  const auto seen = s.enter(s.provision(s.new_box()), [&] {
    const int fd = ::open("/f", O_RDONLY);
    const void* const mapped = ::mmap(nullptr, text.size(), PROT_READ, MAP_PRIVATE, fd, 0);
    return mapped != MAP_FAILED && std::memcmp(mapped, text.data(), text.size()) == 0;
  });
  s.expect(seen.ok(), "a mapped file has the bytes that the layer has");
  if (s.is_read_only()) return;
  const auto changed = s.enter(s.provision(s.new_box()), [&] {
    const int fd = ::open("/f", O_RDWR);
    void* const mapped = ::mmap(nullptr, text.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(mapped != MAP_FAILED, "map for writing");
    std::memcpy(static_cast<char*>(mapped) + text.size() - 7, "changed", 7);
    const auto read = mortise::sys::read_file("/f", 1 << 20);
    return read.ok() && read->size() == text.size() && read->ends_with("changed");
  });
  s.expect(changed.ok(), "what is written by a mapping is read from the file");
}

/// As programs ask that look for room before they write: statvfs(3), so df(1).
template <class Backend>
void tells_what_room_there_is(scene<Backend>& s) {
  s.layer({file("f", std::string(100'000, 'f')), directory("d")});
  const bool read_only = s.is_read_only();
  const auto seen = s.enter(s.provision(s.new_box()), [] {
    struct statvfs of_root{}, of_directory{};
    check(::statvfs("/", &of_root) == 0 && ::statvfs("/d", &of_directory) == 0, "statvfs");
    const bool one = of_root.f_fsid == of_directory.f_fsid && of_root.f_blocks == of_directory.f_blocks;
    return mortise::concat(one ? "one " : "two ", of_root.f_blocks > 0 ? "size " : "no size ",
                           of_root.f_bavail > 0 ? "room " : "no room ",
                           (of_root.f_flag & ST_RDONLY) != 0 ? "read-only " : "writable ", of_root.f_namemax);
  });
  const bool packed = mortise::model::packed_layers<typename Backend::layer_format>;  // an image of its own size, full
  s.expect_same(seen.text,
                read_only ? (packed ? "one size no room read-only 255" : "one size room read-only 255")
                          : "one size room writable 255",
                "what the root's file system says");
}

/// Of a root that is read-only nothing changes, by whatever call.
template <class Backend>
void refuses_every_change(scene<Backend>& s) {
  s.layer(one_of_each());
  if (!s.is_read_only()) return;
  const auto changed = s.enter(s.provision(s.new_box()), [] {
    std::string out;
    const auto refused = [&out](const char* call, long result) {
      if (result != -1 || errno != EROFS)
        mortise::append(out, call, ": ", result == -1 ? std::strerror(errno) : "done", '\n');
    };
    refused("open to write", ::open("/etc/passwd", O_WRONLY));
    refused("create", ::open("/new", O_WRONLY | O_CREAT, 0600));
    refused("truncate", ::truncate("/etc/passwd", 0));
    refused("mkdir", ::mkdir("/new", 0700));
    refused("mknod", ::mknod("/new", S_IFIFO | 0600, 0));
    refused("symlink", ::symlink("etc", "/new"));
    refused("link", ::link("/one-name", "/new"));
    refused("rename", ::rename("/one-name", "/new"));
    refused("unlink", ::unlink("/one-name"));
    refused("rmdir", ::rmdir("/sticky"));
    refused("chmod", ::chmod("/bin/tool", 0));
    refused("chown", ::lchown("/bin/alias", 0, 0));
    refused("utimensat", ::utimensat(AT_FDCWD, "/etc", nullptr, 0));
    refused("setxattr", ::setxattr("/noted", "user.note", "x", 1, 0));
    refused("removexattr", ::removexattr("/noted", "user.note"));
    return out;
  });
  s.expect_same(changed.text, "", "what was not refused");
  s.expect_tree(one_of_each_lines());
}

/// Each by a process of its own, all at once.
template <class Backend>
void carries_many_containers_at_once(scene<Backend>& s) {
  s.layer({file("d/a", "1"), directory("e")});
  (void)s.layers();
  std::vector<std::string> boxes;
  for (int each = 0; each < 64; ++each) boxes.push_back(s.new_box());
  std::vector<pid_t> children;
  for (const std::string& box : boxes) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    mortise::model::plan plan;
    if (!s.try_provision(box, plan).ok()) ::_exit(1);
    const auto seen = s.enter(plan, [&] {
      (void)::mkdir(("/e/" + std::to_string(::getpid())).c_str(), 0700);
      return tree_text("/d");
    });
    ::_exit(seen.text == "a: 1\n" ? 0 : 2);
  }
  int failed = 0;
  for (const pid_t each : children) {
    int status = 0;
    failed += ::waitpid(each, &status, 0) == each && status == 0 ? 0 : 1;
  }
  s.expect(failed == 0, std::to_string(failed) + " of 64 containers failed");
  for (const std::string& box : boxes) s.destroy(box);
}

template <class Backend>
void names_a_missing_layer(scene<Backend>& s) {
  s.layer({file("a")});
  check(mortise::sys::remove_tree(s.layers().front().directory).ok(), "remove the layer");
  const std::string box = s.new_box();
  mortise::model::plan plan;
  const auto made = s.try_provision(box, plan);
  s.expect(made.status().code() == absl::StatusCode::kNotFound, "a missing layer is NOT_FOUND");
  s.expect(mortise::message(made.status()).find(s.layers().front().directory) != std::string_view::npos, "by name");
  s.destroy(box);
}

TEST_CASE_TEMPLATE_DEFINE("rootfs backend", Backend, rootfs_backend_suite) {
  SUBCASE("shows a layer") { play<Backend>(shows_a_layer); }
  SUBCASE("keeps attributes") { play<Backend>(keeps_attributes); }
  SUBCASE("keeps what only root can make") { play<Backend>(keeps_what_only_root_can_make); }
  SUBCASE("shows the root directory itself") { play<Backend>(shows_the_root_directory_itself); }
  SUBCASE("leaves the host behind") { play<Backend>(leaves_the_host_behind); }
  SUBCASE("runs a program") { play<Backend>(runs_a_program); }
  SUBCASE("keeps writes from layers") { play<Backend>(keeps_writes_from_layers); }
  SUBCASE("destroys everything once") { play<Backend>(destroys_everything_once); }
  SUBCASE("destroys what resists") { play<Backend>(destroys_what_resists); }
  SUBCASE("destroys what a killed process left") { play<Backend>(destroys_what_a_killed_process_left); }
  SUBCASE("survives a full disk") { play<Backend>(survives_a_full_disk); }
  SUBCASE("refuses a used directory") { play<Backend>(refuses_a_used_directory); }
  SUBCASE("shows layers as a volume") { play<Backend>(shows_layers_as_a_volume); }
  SUBCASE("destroys a busy root") { play<Backend>(destroys_a_busy_root); }
  SUBCASE("detaches what is mounted there") { play<Backend>(detaches_what_is_mounted_there); }
  SUBCASE("destroys roots within") { play<Backend>(destroys_roots_within); }
  SUBCASE("refuses every change") { play<Backend>(refuses_every_change); }
  SUBCASE("tells what room there is") { play<Backend>(tells_what_room_there_is); }
  SUBCASE("maps files") { play<Backend>(maps_files); }
  SUBCASE("carries many containers at once") { play<Backend>(carries_many_containers_at_once); }
  SUBCASE("names a missing layer") { play<Backend>(names_a_missing_layer); }
}

}  // namespace conformance
