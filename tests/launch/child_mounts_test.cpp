// SPDX-License-Identifier: Apache-2.0
#include <mortise/launch/child_mounts.hpp>

#include <doctest/doctest.h>

#include <launch/plans.hpp>
#include <mortise/launch/child.hpp>
#include <mortise/sys/mount.hpp>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace op = mortise::model::op;
namespace flag = mortise::model::mount_flag;
using mortise::model::missing;
using mortise::model::plan;
using mortise::model::slot;
using mortise::model::stage;

namespace {

/// A plan whose root is a tmpfs at `directory`, with a small /dev.
plan in_tmpfs(const std::string& directory) {
  plan what;
  what.clone_flags = CLONE_NEWNS;
  what.add(stage::host, op::make_private{});
  const slot root = what.new_slot();
  what.add(stage::root, op::new_filesystem{"tmpfs", root, {{"mode", "755"}}, 0});
  what.add(stage::root, op::enter_root{root, directory});
  const slot dev = what.new_slot();
  what.add(stage::filesystems, op::new_filesystem{"tmpfs", dev, {}, flag::no_dev});
  what.add(stage::filesystems, op::attach{dev, {slot::root, "/dev"}});
  what.add(stage::filesystems, op::make_node{{dev, "null"}, S_IFCHR | 0666, makedev(1, 3)});
  return what;
}

/// Runs the plan's set-up in a child and returns what `callable` says in there, or the failure.
template <class Callable>
std::string look(const plan& what, Callable callable) {
  return support::in_child({.namespaces = CLONE_NEWNS},
                           [&]() -> std::string {
                             mortise::launch::child_memory memory(what);
                             mortise::launch::report report;
                             if (mortise::launch::child(what, memory, report).run_until(stage::seal) < 0)
                               return mortise::concat(
                                   report.step, ": ",
                                   report.words != nullptr ? report.words : mortise::errno_text(report.error));
                             return callable();
                           })
      .text;
}

std::string mode_of(const char* path) {
  struct stat about{};
  if (::lstat(path, &about) != 0) return mortise::errno_text(errno);
  char text[16];
  *std::to_chars(text, text + 15, about.st_mode, 8).ptr = 0;
  return text;
}

}  // namespace

TEST_CASE("child_mounts: nodes, links and directories are made with their modes, whatever the umask") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  plan what = in_tmpfs(directory.path());
  what.add(stage::filesystems, op::make_symlink{{slot::root, "/link"}, "target"});
  what.add(stage::filesystems, op::make_directory{{slot::root, "/open"}, 01777});
  what.add(stage::filesystems, op::make_directory{{slot::root, "/open/deeper"}, 0750});
  const support::leak_snapshot before;
  ::umask(077);
  const std::string seen = look(what, [] {
    const mortise::sys::unique_fd null(::open("/dev/null", O_WRONLY));
    return mortise::concat(mode_of("/dev"), ' ', mode_of("/dev/null"), ' ', mode_of("/link"), ' ', mode_of("/open"),
                           ' ', mode_of("/open/deeper"), ' ',
                           ::write(null.get(), "x", 1) == 1 ? "works" : "does not work");
  });
  ::umask(022);
  CHECK(seen == "41777 20666 120777 41777 40750 works");
  CHECK(before.leaked() == "");
}

TEST_CASE("child_mounts: a tree of the parent's is adopted, and attached where only the child sees it") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const support::temporary_directory place;
  const mortise::sys::unique_fd context(static_cast<int>(mortise::sys::raw_fsopen("tmpfs")));
  REQUIRE(mortise::sys::raw_fsconfig_create(context.get()) == 0);
  const mortise::sys::unique_fd tree(static_cast<int>(mortise::sys::raw_fsmount(context.get(), 0)));
  REQUIRE(::mkdirat(tree.get(), "made-by-the-parent", 0700) == 0);
  const auto with_tree = [&](const std::string& where) {
    plan what;
    what.add(stage::host, op::make_private{});
    const slot adopted = what.new_slot();
    what.add(stage::root, op::adopt_tree{tree.get(), adopted});
    what.add(stage::root, op::attach_on_host{adopted, where});
    return what;
  };
  const support::leak_snapshot before;
  CHECK(look(with_tree(place.path()), [&] { return mode_of((place / "made-by-the-parent").c_str()); }) == "40700");
  CHECK(mode_of((place / "made-by-the-parent").c_str()) == "No such file or directory");
  CHECK(look(with_tree(place / "missing"), [] { return std::string(); }) == "open: No such file or directory");
  CHECK(before.leaked() == "");
}

TEST_CASE("child_mounts: masks hide files and directories, and need no target") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const support::temporary_directory shared;
  REQUIRE(mortise::sys::make_directories(shared / "secret/inner").ok());
  REQUIRE(mortise::sys::make_directories(shared / "secret2/inner").ok());
  REQUIRE(mortise::sys::open(shared / "file", O_WRONLY | O_CREAT, 0644).ok());
  plan what = in_tmpfs(directory.path());
  const slot tree = what.new_slot();
  what.add(stage::host, op::clone_tree{shared.path(), tree});
  what.add(stage::volumes, op::attach{tree, {slot::root, "/s"}});
  for (const char* const path : {"/s/secret", "/s/secret2", "/s/file", "/s/absent", "/s/absent/deeper"})
    what.add(stage::masks, op::mask{{slot::root, path}});
  CHECK(look(what, [] {
          return mortise::concat(::rmdir("/s/secret/inner") < 0 ? errno : 0, ' ',
                                 ::mkdir("/s/secret2/new", 0700) < 0 ? errno : 0, ' ', mode_of("/s/file"), ' ',
                                 mode_of("/s/secret/inner"));
        }) == mortise::concat(EROFS, ' ', EROFS, " 20666 No such file or directory"));
  what.add(stage::masks, op::mask{{slot::root, "/dev/../s/file"}});
  CHECK(look(what, [] { return std::string("entered"); }) == "entered");
}

TEST_CASE("child_mounts: read-only holds for the tree below, and for a root that is sealed") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  plan what = in_tmpfs(directory.path());
  what.add(stage::filesystems, op::make_directory{{slot::root, "/a"}, 0755});
  const slot below = what.new_slot();
  what.add(stage::filesystems, op::new_filesystem{"tmpfs", below, {}, 0});
  what.add(stage::filesystems, op::attach{below, {slot::root, "/a/below"}});
  what.add(stage::masks, op::make_read_only{{slot::root, "/a"}});
  what.add(stage::masks, op::make_read_only{{slot::root, "/absent"}});
  what.add(stage::seal, op::seal_root{flag::read_only});
  CHECK(look(what, [] {
          const auto error = [](const char* path) { return ::mkdir(path, 0700) < 0 ? errno : 0; };
          return mortise::concat(error("/a/x"), ' ', error("/a/below/x"), ' ', error("/x"), ' ', error("/dev/x"));
        }) == mortise::concat(EROFS, ' ', EROFS, ' ', EROFS, " 0"));
}

TEST_CASE("child_mounts: links in a target are refused, or followed within the root") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const auto attached = [&](const std::string& target, bool follow, missing otherwise) {
    plan what = in_tmpfs(directory.path());
    what.add(stage::filesystems, op::make_directory{{slot::root, "/real"}, 0755});
    what.add(stage::filesystems, op::make_symlink{{slot::root, "/link"}, "/../../real"});
    const slot tree = what.new_slot();
    what.add(stage::volumes, op::new_filesystem{"tmpfs", tree, {}, 0});
    what.add(stage::volumes, op::attach{tree, {slot::root, target}, otherwise, follow});
    return look(what, [] { return std::string("done"); });
  };
  CHECK(attached("/link", false, missing::make_directory) == "open: Too many levels of symbolic links");
  CHECK(attached("/link", true, missing::is_error) == "done");
  CHECK(attached("/link/new/../deep", true, missing::make_directory) == "done");
  CHECK(attached("/none", true, missing::is_error) == "open: No such file or directory");
  CHECK(attached("/file", true, missing::make_file) == "move_mount: Invalid argument");
  CHECK(attached("/real/" + std::string(300, 'x'), true, missing::make_directory) == "open: File name too long");
}

TEST_CASE("child_mounts: a null device that is none stops a mask") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  plan what = in_tmpfs(directory.path());
  what.add(stage::filesystems, op::make_node{{slot::root, "/file"}, S_IFCHR | 0666, makedev(1, 5)});
  const slot tree = what.new_slot();
  what.add(stage::host, op::clone_tree{"/dev/zero", tree});
  what.add(stage::volumes, op::attach{tree, {slot::root, "/dev/null"}});
  what.add(stage::masks, op::mask{{slot::root, "/file"}});
  CHECK(look(what, [] { return std::string("entered"); }) == "check /dev/null: No such device");
}
