// SPDX-License-Identifier: Apache-2.0
// Layers that want more than their own directory. Each lies in a directory beside which nothing may change.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <archive/layer_stack.hpp>
#include <archive/pack.hpp>
#include <archive/tar_builder.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mortise/archive/decompress.hpp>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

using mortise::concat;
using mortise::message;
using mortise::archive::limits;
using support::layer_stack;
using support::tar_builder;
using unprivileged = mortise::model::unprivileged_overlay_layers;
using namespace mortise::literals;

namespace {

/// A place with a victim beside the layer, and what became of both.
class scene {
 public:
  scene() {
    std::ofstream(place_ / "victim") << "untouched";
    ::mkdir((place_ / "outside").c_str(), 0755);
    ::mkdir((place_ / "layers").c_str(), 0755);
  }

  absl::Status apply(const tar_builder& tar, const limits& caps = {}) {
    const support::tree before(place_.path());
    layer_stack<unprivileged> stack(place_ / "layers");
    const absl::Status status = stack.add(tar.text(), {.limits = caps}).status();
    const support::tree after(place_.path());
    CHECK(after["victim"] == before["victim"]);
    CHECK(after.about("victim").st_ctim.tv_nsec == before.about("victim").st_ctim.tv_nsec);
    CHECK(after["outside"] == before["outside"]);
    for (const std::string& path : after.paths())
      CHECK_MESSAGE((path == "victim" || path == "outside" || path.starts_with("layers")), path);
    layer_ = std::make_unique<support::tree>(place_ / "layers/layer0");
    return status;
  }
  std::string refusal(const tar_builder& tar, const limits& caps = {}) {
    const absl::Status status = apply(tar, caps);
    CHECK_FALSE(status.ok());
    return std::string(message(status));
  }

  [[nodiscard]] const support::tree& layer() const { return *layer_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }

 private:
  support::temporary_directory place_;
  std::unique_ptr<support::tree> layer_;
};

std::string refusal(const tar_builder& tar, const limits& caps = {}) { return scene().refusal(tar, caps); }

}  // namespace

TEST_CASE("names with '..' are refused") {
  for (const char* const name : {"..", "../victim", "a/../../victim", "a/..", "./../victim", "/../victim", "a/../b"})
    CHECK(refusal(tar_builder().file(name, "evil")) == mortise::concat("unpack '", name, "': its name contains '..'"));
  CHECK(refusal(tar_builder().directory("../outside/", 0777)) == "unpack '../outside/': its name contains '..'");
  CHECK(refusal(tar_builder().file("../.wh.victim")) == "unpack '../.wh.victim': its name contains '..'");
}

TEST_CASE("absolute names are meant below the layer's root") {
  scene place;
  const std::string victim = place / "victim";
  REQUIRE(place.apply(tar_builder().file(victim, "evil").hard_link("/link", victim)).ok());
  CHECK(place.layer()[victim.substr(1)].ends_with("'evil'"));
  CHECK(place.layer().about("link").st_nlink == 2);
}

TEST_CASE("the root must be a directory") {
  for (const char* const name : {".", "/", "./", "//"}) {
    CHECK(refusal(tar_builder().symlink(name, "/etc")) ==
          mortise::concat("unpack '", name, "': the root is a symbolic link, and must be a directory"));
    CHECK(refusal(tar_builder().add({.name = name, .type = '6'})) ==
          mortise::concat("unpack '", name, "': the root is a FIFO, and must be a directory"));
    CHECK(refusal(tar_builder().file("x").hard_link(name, "x")) ==
          mortise::concat("unpack '", name, "': the root is a hard link, and must be a directory"));
  }
  CHECK(refusal(tar_builder().file(".", "data")) == "unpack '.': the root is a regular file, and must be a directory");
}

TEST_CASE("symbolic links are stored as they are and never followed") {
  for (const char* const target : {"../../outside", "/", "/etc", ".", "real"}) {
    tar_builder tar;
    tar.directory("real/").symlink("soft", target);
    CHECK(refusal(tar_builder(tar).file("soft/evil")) ==
          "unpack 'soft/evil': this layer has a symbolic link as its parent 'soft'");
    CHECK_FALSE(scene().apply(tar_builder(tar).file("soft/a/b/evil")).ok());
    scene hiding;  // umoci writes both where a directory becomes a link; there is nothing left to hide
    REQUIRE(hiding.apply(tar_builder(tar).file("soft/.wh.real")).ok());
    CHECK(hiding.layer()["real"].starts_with("dir "));
    CHECK_FALSE(scene().apply(tar_builder(tar).file("soft/.wh..wh..opq")).ok());
    CHECK_FALSE(scene().apply(tar_builder(tar).directory("soft/sub/")).ok());
    CHECK_FALSE(scene().apply(tar_builder(tar).hard_link("soft/evil", "real")).ok());
    scene place;  // a directory over a link to one replaces the link
    REQUIRE(place.apply(tar_builder(tar).directory("soft/", 0777).file("soft/mine")).ok());
    CHECK(place.layer()["soft"].starts_with("dir 0777"));
    CHECK(place.layer()["soft/mine"] != "");
  }
}

TEST_CASE("a file over a link to a file outside replaces the link") {
  scene place;
  tar_builder tar;
  tar.symlink("soft", "../../victim").file("soft", "evil");
  tar.symlink("again", "../../victim").add({.name = "again", .link = "soft", .type = '1', .mode = 04777, .uid = 99});
  REQUIRE(place.apply(tar).ok());
  CHECK(place.layer()["soft"].ends_with("'evil'"));
  CHECK(place.layer().about("again").st_nlink == 2);
}

TEST_CASE("hard links lead nowhere outside, by no way") {
  CHECK(refusal(tar_builder().hard_link("x", "../victim")) ==
        "unpack 'x': link to '../victim': its name contains '..'");
  CHECK(refusal(tar_builder().hard_link("x", "../../victim")).find("'..'") != std::string::npos);
  CHECK(refusal(tar_builder().hard_link("x", "/etc/passwd")) ==
        "unpack 'x': link to '/etc/passwd': neither this layer nor one below has it");
  CHECK(refusal(tar_builder().symlink("soft", "../..").hard_link("x", "soft/victim")) ==
        "unpack 'x': link to 'soft/victim': open './soft' in the root: Too many levels of symbolic links");
  CHECK(refusal(tar_builder().hard_link("x", "x")) == "unpack 'x': link to 'x': a hard link to itself");
  CHECK(refusal(tar_builder().directory("d/").hard_link("x", "d")) == "unpack 'x': link to 'd': it is a directory");
  CHECK(refusal(tar_builder().hard_link("x", "/")) == "unpack 'x': link to '/': a hard link to the root directory");
  scene place;  // the link itself is linked to, not what it points to
  REQUIRE(place.apply(tar_builder().symlink("soft", "../../victim").hard_link("x", "soft")).ok());
  CHECK(place.layer()["x"].ends_with("-> ../../victim"));
}

TEST_CASE("symbolic links of lower layers lead implied parents to other names of the layer, and nowhere else") {
  if (support::missing_root()) return;
  scene place;
  layer_stack stack(place / "layers");
  tar_builder bottom;
  bottom.directory("usr/").add({.name = "usr/lib/", .mode = 0711, .uid = 3}).file("usr/lib/x", "x");
  bottom.symlink("lib", "usr/lib").symlink("usr/lib/up", "../../..//lib").symlink("abs", "/usr/lib");
  bottom.symlink("away", "../../outside").symlink("loop", "loop").symlink("odd", "usr/../usr").symlink("self", ".");
  REQUIRE(stack.add(bottom.text()).ok());
  tar_builder upper;
  upper.file("lib/one").file("abs/two").file("usr/lib/up/three").file("lib/up/four").file("away/five");
  upper.file("self/self/six").hard_link("lib/seven", "lib/x").hard_link("lib/eight", "abs/x").file("lib/.wh.gone");
  const auto result = stack.add(upper.text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK(result->depends_on_lower);
  const support::tree tree = stack.top();
  CHECK(tree.paths() == std::vector<std::string>{"outside", "outside/five", "six", "usr", "usr/lib", "usr/lib/eight",
                                                 "usr/lib/four", "usr/lib/gone", "usr/lib/one", "usr/lib/seven",
                                                 "usr/lib/three", "usr/lib/two", "usr/lib/x"});
  CHECK(tree["usr/lib"] == "dir 0711 3:0");
  CHECK(tree.about("usr/lib/x").st_nlink == 3);
  CHECK(support::tree(place / "outside").paths().empty());
  CHECK(message(stack.add(tar_builder().file("loop/x").text()).status()) ==
        "unpack 'loop/x': too many symbolic links lead to it");
  CHECK(message(stack.add(tar_builder().file("odd/x").text()).status()) ==
        "unpack 'odd/x': follow the lower layers' symbolic link: its name contains '..'");
}

TEST_CASE("a device that is a whiteout is refused, in every form") {
  const tar_builder tar = tar_builder().add({.name = "etc", .type = '3'});
  CHECK(refusal(tar) == "unpack 'etc': it is the device 0:0, which would delete a name of lower layers");
  if (support::missing_root()) return;
  layer_stack stack;
  CHECK(stack.add(tar.text()).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(stack.top().paths().empty());
}

TEST_CASE("something that is no directory cannot be a parent") {
  CHECK(refusal(tar_builder().file("file").file("file/x")) ==
        "unpack 'file/x': this layer has a file as its parent 'file'");
  CHECK_FALSE(scene().apply(tar_builder().add({.name = "pipe", .type = '6'}).file("pipe/x")).ok());
}

TEST_CASE("names are bounded") {
  const std::string component(256, 'c');
  CHECK(refusal(tar_builder().file(component)).find("has a component of more bytes than the 255 allowed") !=
        std::string::npos);
  std::string path;
  for (int level = 0; level < 40; ++level) path += std::string(110, 'p') + '/';
  CHECK(refusal(tar_builder().file(path + "x")).find("has more bytes than the 4096 allowed") != std::string::npos);
  std::string deep;
  for (int level = 0; level < 300; ++level) deep += "d/";
  CHECK(refusal(tar_builder().file(deep + "x")).find("is more directories deep than the 256 allowed") !=
        std::string::npos);
  CHECK(refusal(tar_builder().symlink("x", std::string(5000, 't'))) ==
        "unpack 'x': a link target longer than the 4095 bytes allowed (raise archive::limits if it is trusted)");
  scene place;
  deep.resize(512);
  REQUIRE(place.apply(tar_builder().file(deep + "x")).ok());
  CHECK(scene().apply(tar_builder().file("weird \n\t\x1b[31m name")).ok());
  CHECK(refusal(tar_builder().file("a\x1b/../b")) ==
        "unpack 'a\\x1b/../b': its name contains '..'");  // never to a terminal
}

TEST_CASE("the number of entries is bounded, implied directories included") {
  tar_builder tar;
  for (int at = 0; at < 11; ++at) tar.file(std::to_string(at));
  CHECK(refusal(tar, limits{.entries = 10}) ==
        "unpack '10': more than the 10 entries allowed (raise archive::limits if it is trusted)");
  CHECK_FALSE(scene().apply(tar_builder().file("a/b/c/d/e/f/g"), limits{.entries = 5}).ok());
  CHECK(scene().apply(tar_builder().file("a/b/c/d"), limits{.entries = 5}).ok());
}

TEST_CASE("claims of size are bounded before anything is written") {
  tar_builder sparse;  // 8 EiB of holes in a few bytes
  sparse.add(
      {.name = "x",
       .data = std::string("1\n0\n1\n").append(506, '\0') + "d",
       .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", "9223372036854775807"}}});
  CHECK(refusal(sparse).find("files of more than the 68719476736 bytes allowed") != std::string::npos);
  tar_builder many;
  for (int at = 0; at < 5; ++at)
    many.add({.name = std::to_string(at),
              .data = std::string("1\n0\n1\n").append(506, '\0') + "d",
              .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", "1048576"}}});
  CHECK_FALSE(scene().apply(many, limits{.unpacked = 4_MiB}).ok());
  CHECK(scene().apply(many, limits{.unpacked = 5_MiB}).ok());
  CHECK_FALSE(scene().apply(tar_builder().add({.name = "x", .data = "short", .size = 1'000'000})).ok());
}

TEST_CASE("data that reaches beyond the claimed size is refused") {
  tar_builder tar;
  tar.add({.name = "x",
           .data = std::string("1\n9000000\n4\n").append(500, '\0') + "data",
           .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", "10"}}});
  CHECK(refusal(tar) == "unpack 'x': its data reaches beyond its size");
}

TEST_CASE("floods of attributes are bounded") {
  tar_builder tar;
  tar.add({.name = "x", .xattrs = {{"user.big", std::string(100'000, 'v')}}});
  CHECK(refusal(tar, limits{.xattrs = 64_KiB}).find("of extended attributes allowed") != std::string::npos);
  CHECK_FALSE(scene().apply(tar).ok());  // more than the kernel takes
}

TEST_CASE("a bomb ends at the cap, in little time and space") {
  std::string blob;
  const std::string zeros(64 << 20, '\0');
  const std::string frame = support::zstd(zeros);
  blob = support::zstd(tar_builder().header({.name = "bomb", .size = 1ULL << 35}).open_end());
  for (int at = 0; at < 512; ++at) blob += frame;  // 32 GiB
  support::memory_reader source(blob);
  const limits caps{.unpacked = 256_MiB};
  auto stream = mortise::archive::decompress(source, caps);
  REQUIRE(stream.ok());
  layer_stack<unprivileged> stack;
  const absl::Status status = stack.add(**stream, {.limits = caps}).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(stack.top().about("bomb").st_size == 0);
}

TEST_CASE("a full disk is told, and leaves nothing outside") {
  if (support::missing_root()) return;
  const support::leak_snapshot before("only descriptors, mounts and processes");
  {
    const support::temporary_tmpfs place(1 << 20);
    layer_stack stack(place.path());
    const absl::Status status =
        stack.add(tar_builder().file("small").file("large", std::string(2 << 20, 'x')).text()).status();
    CHECK(message(status) == "unpack 'large': write file: No space left on device (free space, or use another disk)");
    CHECK(mortise::errno_of(status) == ENOSPC);
  }
  {
    const support::temporary_tmpfs place(1 << 20, 20);
    layer_stack stack(place.path());
    tar_builder tar;
    for (int at = 0; at < 30; ++at) tar.file(std::to_string(at));
    CHECK(mortise::errno_of(stack.add(tar.text()).status()) == ENOSPC);
  }
  {
    const support::temporary_tmpfs place(8 << 20);
    layer_stack stack(place.path());
    const limits caps{.free_space = 6_MiB};
    tar_builder tar;
    for (int at = 0; at < 7; ++at) tar.file(std::to_string(at), std::string(1 << 20, 'x'));
    const absl::Status status = stack.add(tar.text(), {.limits = caps}).status();
    CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    CHECK(message(status).find("to be left free") != std::string_view::npos);
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("too few file descriptors are told with the remedy") {
  const support::temporary_directory place;
  const auto outcome = support::in_child({.limits = {{RLIMIT_NOFILE, 24}}}, [&]() -> std::string {
    layer_stack<unprivileged> stack(place.path());
    return std::string(
        message(stack.add(tar_builder().file("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z").text()).status()));
  });
  CHECK(outcome.text.find("Too many open files (a level of directories needs a descriptor: raise RLIMIT_NOFILE)") !=
        std::string::npos);
}

TEST_CASE("what hides all that is below may be said again and again, and is done once") {
  const support::temporary_directory place;
  tar_builder tar;
  tar.file("other/.wh.gone");
  for (int each = 0; each < 20'000; ++each) tar.file("d/" + std::to_string(each));
  for (int each = 0; each < 50'000; ++each) tar.file("d/.wh..wh..opq").file(".wh.d");
  const auto outcome = support::in_child({.cpu_seconds = 60}, [&]() -> std::string {
    layer_stack<unprivileged> stack(place.path());
    return std::string(message(stack.add(tar.text()).status()));
  });
  CHECK(outcome.text == "");
  CHECK(outcome.signal == 0);  // else SIGXCPU
}

TEST_CASE("lower layers' links may lead through all lower layers, again and again") {
  const support::temporary_directory place;
  std::string deep;
  for (int level = 0; level < 200; ++level) deep += "d/";
  tar_builder links;
  for (int each = 0; each < 40; ++each)
    links.symlink(deep + std::to_string(each), each == 39 ? "/end" : std::to_string(each + 1));
  tar_builder top;
  for (int each = 0; each < 200; ++each) top.file(concat(deep, "0/", each)).file(concat(deep, "new", each, "/file"));
  const auto outcome = support::in_child({.cpu_seconds = 60}, [&]() -> std::string {
    layer_stack<unprivileged> stack(place.path());
    std::string said(message(stack.add(links.text()).status()));
    for (int layer = 0; layer < 40; ++layer)
      said += message(stack.add(tar_builder().file(deep + "own").text()).status());
    return said.append(message(stack.add(top.text()).status()));
  });
  CHECK(outcome.text == "");
  CHECK(outcome.signal == 0);  // else SIGXCPU
}

TEST_CASE("lower layers' links may not lead to every entry by dozens") {
  tar_builder links;
  for (int each = 0; each < 39; ++each)
    links.symlink(std::to_string(each), each == 38 ? "end" : std::to_string(each + 1));
  tar_builder top;
  for (int each = 0; each < 1000; ++each) top.file("0/" + std::to_string(each));
  layer_stack<unprivileged> stack;
  REQUIRE(stack.add(links.text()).ok());
  const absl::Status status = stack.add(top.text()).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(message(status).ends_with("too many symbolic links lead to it and to the entries before"));
  CHECK(stack.add(tar_builder().file("0/x").file("1/x").file("37/x").text()).ok());
}

TEST_CASE("hard links are found without openat2 too") {
  const support::temporary_directory place;
  const auto outcome = support::deny({SYS_openat2}, ENOSYS, [&]() -> std::string {
    layer_stack<unprivileged> stack(place.path());
    tar_builder tar;
    tar.file("a/b/file").hard_link("c/link", "a/b/file").symlink("out", "/").hard_link("evil", "out/etc/passwd");
    return std::string(message(stack.add(tar.text()).status()));
  });
  CHECK(outcome.text.starts_with("unpack 'evil': link to 'out/etc/passwd': open './out"));
  CHECK(outcome.text.ends_with("in the root: Too many levels of symbolic links"));
  CHECK(support::tree(place.path()).about("layer0/c/link").st_nlink == 2);
}

TEST_CASE("a failing stream fails the layer, at every byte of a small one") {
  const std::string tar = tar_builder().directory("d/").file("d/f", "data").text();
  for (std::size_t size = 0; size < tar.size(); size += 64) {
    layer_stack<unprivileged> stack;
    support::memory_reader source(tar.substr(0, size), 100, mortise::errno_error(ECONNRESET, "read layer"));
    CHECK(mortise::errno_of(stack.add(source).status()) == ECONNRESET);
  }
}
