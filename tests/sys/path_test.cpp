// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/path.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <mortise/sys/file.hpp>
#include <support/deny.hpp>
#include <support/leaks.hpp>
#include <support/temporary.hpp>
#include <thread>
#include <vector>

namespace sys = mortise::sys;

namespace {

/// A root with all the traps, and the host's secret beside it.
class trapped_root {
 public:
  trapped_root() {
    for (const char* const each : {"root/a/b/c", "root/etc", "outside"})
      CHECK(sys::make_directories(directory_ / each).ok());
    write("root/etc/passwd", "inside");
    write("root/a/file", "file");
    write("outside/secret", "secret");
    const std::string outside = directory_ / "outside";
    const std::vector<std::pair<std::string, std::string>> links = {{"/etc", "absolute"},
                                                                    {"../../../../etc", "up"},
                                                                    {outside, "out"},
                                                                    {"../outside", "beside"},
                                                                    {"loop2", "loop1"},
                                                                    {"loop1", "loop2"},
                                                                    {"loop", "loop"},
                                                                    {"/nowhere", "dangling"},
                                                                    {"a/b/../../etc", "winds"},
                                                                    {"/proc/self/root", "magic"},
                                                                    {".", "here"},
                                                                    {"/", "top"},
                                                                    {"chain1/", "chain0"},
                                                                    {"a", "chain1"},
                                                                    {"file", "a/to_file"},
                                                                    {"/made_by_link", "to_make"}};
    for (const auto& [target, name] : links)
      CHECK(::symlink(target.c_str(), (directory_ / ("root/" + name)).c_str()) == 0);
    std::string previous = "etc";
    for (int count = 0; count < 45; ++count) {
      const std::string name = "hop" + std::to_string(count);
      CHECK(::symlink(previous.c_str(), (directory_ / ("root/" + name)).c_str()) == 0);
      previous = name;
    }
    root_ = sys::open(directory_ / "root", O_PATH | O_DIRECTORY).value();
  }

  [[nodiscard]] int fd() const { return root_.get(); }
  [[nodiscard]] const support::temporary_directory& directory() const { return directory_; }
  void write(const std::string& name, std::string_view text) const {
    CHECK(sys::write_all(sys::open(directory_ / name, O_WRONLY | O_CREAT, 0644)->get(), text).ok());
  }

 private:
  support::temporary_directory directory_;
  sys::unique_fd root_;
};

/// What an open gives: the content of a file, "directory", or the errno.
std::string look(int root, const std::string& path, int flags, sys::links policy) {
  const long opened = sys::raw_open_in_root(root, path.c_str(), flags, 0644, policy);
  if (opened < 0) return "error " + std::to_string(-opened);
  const sys::unique_fd fd(static_cast<int>(opened));
  struct stat about{};
  if (::fstat(fd.get(), &about) != 0) return "no stat";
  if (::fcntl(fd.get(), F_GETFD) != FD_CLOEXEC) return "not close-on-exec";
  if (S_ISDIR(about.st_mode)) return "directory " + std::to_string(about.st_ino);
  if (S_ISLNK(about.st_mode)) return "link";
  if ((flags & O_PATH) != 0) return "file " + std::to_string(about.st_ino);
  const auto text = sys::read_all(fd.get(), 100);
  return text.ok() ? *text : "unreadable";
}

const std::vector<std::string> tricks = {"",
                                         "/",
                                         ".",
                                         "..",
                                         "../..",
                                         "a",
                                         "a/",
                                         "a//b///c",
                                         "/a/./b/../b/c/",
                                         "../../../../etc/passwd",
                                         "etc/passwd",
                                         "etc/passwd/",
                                         "etc/passwd/x",
                                         "etc/passwd/..",
                                         "absolute/passwd",
                                         "absolute",
                                         "absolute/",
                                         "up/passwd",
                                         "out/secret",
                                         "out",
                                         "beside/secret",
                                         "beside",
                                         "loop",
                                         "loop1",
                                         "loop1/x",
                                         "dangling",
                                         "dangling/x",
                                         "winds/passwd",
                                         "magic",
                                         "magic/etc/passwd",
                                         "here/here/here/etc/passwd",
                                         "top/top/../etc/passwd",
                                         "chain0/file",
                                         "chain0",
                                         "a/to_file",
                                         "a/to_file/",
                                         "a/b/../../../../../outside/secret",
                                         "hop38/passwd",
                                         "hop39/passwd",
                                         "hop40/passwd",
                                         "hop44/passwd",
                                         "none",
                                         "none/x",
                                         "a/none/../file",
                                         std::string(255, 'n'),
                                         std::string(256, 'n'),
                                         "a/" + std::string(300, 'n') + "/x",
                                         std::string(5000, 'a')};

/// Every trick with every kind of open, as text.
std::string look_at_all(int root) {
  std::string out;
  for (const std::string& path : tricks)
    for (const int flags : {O_RDONLY, O_PATH, O_PATH | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW})
      for (const auto policy : {sys::links::within_root, sys::links::refused})
        mortise::append(out, path.substr(0, 60), ' ', flags, ' ', policy == sys::links::refused ? "refused: " : ": ",
                        look(root, path, flags, policy), '\n');
  return out;
}

/// The first line that two texts do not share, of both.
std::string first_difference(const std::string& left, const std::string& right) {
  const auto lefts = mortise::split(left, '\n');
  const auto rights = mortise::split(right, '\n');
  for (std::size_t line = 0; line < std::max(lefts.size(), rights.size()); ++line) {
    const auto one = line < lefts.size() ? lefts[line] : "nothing";
    const auto other = line < rights.size() ? rights[line] : "nothing";
    if (one != other) return mortise::concat(one, " instead of ", other);
  }
  return {};
}

}  // namespace

TEST_CASE("path: no trick leads out of the root" * doctest::test_suite("unprivileged")) {
  const trapped_root root;
  const support::leak_snapshot before;
  const auto read = [&](const std::string& path) { return look(root.fd(), path, O_RDONLY, sys::links::within_root); };
  for (const char* const path : {"etc/passwd", "/etc/passwd", "../../../../etc/passwd", "absolute/passwd", "up/passwd",
                                 "winds/passwd", "here/here/here/etc/passwd", "top/top/../etc/passwd", "hop38/passwd"})
    CHECK(read(path) == "inside");
  for (const char* const path : {"out/secret", "beside/secret", "a/b/../../../../../outside/secret"})
    CHECK(read(path) == "error 2");
  for (const char* const path : {"loop", "loop1/x", "hop44/passwd"}) CHECK(read(path) == "error 40");
  CHECK(read("etc/passwd/..") == "error 20");
  CHECK(look_at_all(root.fd()).find("secret\n") == std::string::npos);
  const auto named = sys::open_in_root(root.fd(), "none\n", O_RDONLY);
  CHECK(mortise::message(named.status()) == "open 'none\\x0a' in the root: No such file or directory");
  CHECK(before.leaked() == "");
}

TEST_CASE("path: the walk of kernels without openat2 finds the same" * doctest::test_suite("unprivileged")) {
  const trapped_root root;
  const std::string expected = look_at_all(root.fd());
  for (const int error : {ENOSYS, EPERM}) {
    const auto denied = support::deny({SYS_openat2}, error, [&] {
      const support::leak_snapshot before;
      std::string text = look_at_all(root.fd());
      return text + before.leaked();
    });
    CHECK(first_difference(denied.text, expected) == "");
  }
}

TEST_CASE("path: magic links of procfs are no way out, its plain ones work" * doctest::test_suite("unprivileged")) {
  const auto look_into_proc = [] {
    const sys::unique_fd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const sys::unique_fd held(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    std::string out;
    for (const char* const path :
         {"self/root", "self/cwd", "self/exe", "self/root/etc/passwd", "self/ns/mnt", "thread-self/root"})
      mortise::append(out, look(proc.get(), path, O_PATH, sys::links::within_root), ' ');
    for (const std::string& path : {mortise::concat("self/fd/", held.get()), std::string("self/fd/0")})
      mortise::append(out, look(proc.get(), path, O_RDONLY, sys::links::within_root), ' ');
    return out + look(proc.get(), "self", O_PATH, sys::links::within_root).substr(0, 9) + ' ' +
           look(proc.get(), "mounts", O_PATH, sys::links::within_root).substr(0, 4);
  };
  const std::string elsewhere =
      "error 40 error 40 error 40 error 40 error 40 error 40 error 40 error 40 directory file";
  CHECK(look_into_proc() == elsewhere);
  CHECK(support::deny({SYS_openat2}, ENOSYS, look_into_proc).text == elsewhere);
}

TEST_CASE("path: a racer who renames gets nobody out" * doctest::test_suite("unprivileged")) {
  const trapped_root root;
  const std::string base = root.directory().path() + "/root/";
  REQUIRE(sys::make_directories(base + "x/y/z").ok());
  const auto race = [&] {
    std::atomic<bool> done = false;
    std::thread racer([&] {
      while (!done) {  // a directory out and in again, and for a link to the outside
        ::rename((base + "x/y").c_str(), (root.directory() / "outside/y").c_str());
        ::rename((root.directory() / "outside/y").c_str(), (base + "x/y").c_str());
        (void)sys::call(SYS_renameat2, AT_FDCWD, (base + "x").c_str(), AT_FDCWD, (base + "beside").c_str(),
                        RENAME_EXCHANGE);
      }
    });
    int out = 0;
    for (int count = 0; count < 4000; ++count) {
      const std::string found = look(root.fd(), "x/y/z/../../../secret", O_RDONLY, sys::links::within_root) +
                                look(root.fd(), "x/y/z/../../secret", O_RDONLY, sys::links::within_root);
      out += found.find("secret") != std::string::npos;
    }
    done = true;
    racer.join();
    return out;
  };
  CHECK(race() == 0);
  CHECK(support::deny({SYS_openat2}, ENOSYS, race).code == 0);
}

TEST_CASE("path: deep trees" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory directory;
  std::string deep = "d";
  for (int level = 1; level < 400; ++level) deep += "/d";
  const sys::unique_fd root = sys::open(directory.path(), O_PATH | O_DIRECTORY).value();
  const auto make = [&] { return sys::raw_create_in_root(root.get(), (deep + "/file").c_str(), false); };
  CHECK(support::deny({SYS_openat2}, ENOSYS, [&] { return static_cast<int>(-make()); }).code == 0);
  CHECK(make() == 0);
  CHECK(look(root.get(), deep + "/file", O_RDONLY, sys::links::within_root) == "");
  CHECK(
      support::deny({SYS_openat2}, ENOSYS, [&] {
        return look(root.get(), deep + "/file", O_RDONLY, sys::links::within_root) == "" &&
               look(root.get(), std::string(4090, '/') + "d", O_PATH, sys::links::within_root).starts_with("directory");
      }).ok());
}

TEST_CASE("path: what is missing is made inside" * doctest::test_suite("unprivileged")) {
  const trapped_root root;
  const auto make_all = [&](const std::string& in) {
    std::string out;
    for (const auto& [path, directory] :
         std::vector<std::pair<std::string, bool>>{{in + "/one/two", true},
                                                   {in + "/one/two", true},
                                                   {in + "/one/file", false},
                                                   {"/" + in + "/../" + in + "/three/", true},
                                                   {"../../" + in + "/four", true},
                                                   {"loop/x", true},
                                                   {"etc/passwd/x", true},
                                                   {"dangling/x", true},
                                                   {"out/x", true},
                                                   {std::string(300, 'n'), true},
                                                   {"", true},
                                                   {"/", true}})
      mortise::append(out, -sys::raw_create_in_root(root.fd(), path.c_str(), directory), ' ');
    out += look(root.fd(), in + "/one/two/../file", O_RDONLY, sys::links::refused);
    const long made = sys::raw_open_in_root(root.fd(), "to_make", O_CREAT | O_WRONLY, 0600);
    if (made >= 0) ::close(static_cast<int>(made));
    out += std::to_string(sys::raw_open_in_root(root.fd(), "to_make", O_CREAT | O_EXCL | O_WRONLY, 0600));
    ::unlink((root.directory() / "root/made_by_link").c_str());
    return out + (made >= 0 ? " made" : " refused");
  };
  const std::string expected = "0 0 0 0 0 40 20 2 2 36 0 0 -17 made";
  CHECK(make_all("new") == expected);
  CHECK(support::deny({SYS_openat2}, ENOSYS, [&] { return make_all("newer"); }).text == expected);
  CHECK(::access((root.directory() / "outside/x").c_str(), F_OK) != 0);
  CHECK(sys::raw_create_in_root(root.fd(), "absolute/made", true, sys::links::refused) == -ELOOP);
}
