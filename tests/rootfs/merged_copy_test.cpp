// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/merged_copy.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <conformance/layers.hpp>
#include <conformance/tree_text.hpp>
#include <support/deny.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;
using conformance::directory;
using conformance::file;
using conformance::hard_link;
using conformance::tree_text;
using format = model::unprivileged_overlay_layers;
using layer_set = conformance::layer_set<format>;

namespace {

absl::Status merge(const layer_set& layers, const std::string& root) {
  conformance::check(::mkdir(root.c_str(), 0700) == 0, "make " + root);
  std::vector<std::string> top_first;
  for (auto each = layers.all().rbegin(); each != layers.all().rend(); ++each) top_first.push_back(each->directory);
  return rootfs::merged_copy<format>::run(top_first, root);
}

nlink_t links_of(const std::string& path) {
  struct stat about{};
  conformance::check(::lstat(path.c_str(), &about) == 0, "stat " + path);
  return about.st_nlink;
}
mode_t mode_of(const std::string& path) {
  struct stat about{};
  conformance::check(::lstat(path.c_str(), &about) == 0, "stat " + path);
  return about.st_mode & 07777;
}

}  // namespace

TEST_CASE("merged copy: links are kept within a layer, and do not reach across") {
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  layers.add({file("a", "1"), hard_link("b", "a"), hard_link("d/c", "a"), hard_link("hidden", "a")});
  layers.add({file("hidden", "2"), hard_link("d/e", "hidden")});
  // The same inode in a third layer, as a store that shares equal files would have it.
  layers.add({file("x", "3")});
  REQUIRE(::link((layers.all()[0].directory + "/a").c_str(), (layers.all()[2].directory + "/y").c_str()) == 0);
  REQUIRE(merge(layers, place / "root").ok());
  CHECK(tree_text(place / "root") == "a: 1\nb: 1\nd/\nd/c: 1\nd/e: 2\nhidden: 2\nx: 3\ny: 1\n");
  CHECK(links_of(place / "root/a") == 3);
  CHECK(links_of(place / "root/d/e") == 2);
  CHECK(links_of(place / "root/y") == 1);
}

TEST_CASE("merged copy: modes that lock their owner out are set last") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chown(place.path().c_str(), support::nobody, support::nobody) == 0);
  const auto copied = support::in_child({.uid = support::nobody}, [&] {
    layer_set layers(place / "layer-");
    layers.add({file("a/b/c/file", "1"), hard_link("z", "a/b/c/file"), directory("a/b/c", 0500), directory("a/b", 0500),
                directory("a", 0500), directory(".", 0500)});
    return merge(layers, place / "root");
  });
  CHECK(copied.text == "");
  for (const char* each : {"root", "root/a", "root/a/b", "root/a/b/c"}) CHECK(mode_of(place / each) == 0500);
  CHECK(links_of(place / "root/z") == 2);
}

TEST_CASE("merged copy: a file that the caller may not read is named") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  REQUIRE(::chown(place.path().c_str(), support::nobody, support::nobody) == 0);
  const auto refused = support::in_child({.uid = support::nobody}, [&] {
    layer_set layers(place / "layer-");
    layers.add({file("d/secret", "1", 0)});
    return merge(layers, place / "root");
  });
  CHECK(refused.text == "copy 'd/secret' of layer '" + (place / "layer-0") + "': open 'secret': Permission denied");
}

TEST_CASE("merged copy: needs descriptors for the layers, not for depth") {
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  std::string deep = "d";
  for (int level = 0; level < 60; ++level) deep += "/d";
  for (int number = 0; number < 8; ++number) layers.add({file(deep + "/file" + std::to_string(number), "x")});
  const auto copied =
      support::in_child({.limits = {{RLIMIT_NOFILE, 32}}}, [&] { return merge(layers, place / "root"); });
  CHECK(copied.text == "");
  CHECK(::access((place / ("root/" + deep + "/file7")).c_str(), F_OK) == 0);
  const auto too_few =
      support::in_child({.limits = {{RLIMIT_NOFILE, 8}}}, [&] { return merge(layers, place / "few"); });
  CHECK(too_few.text.ends_with("Too many open files"));
}

TEST_CASE("merged copy: works without openat2") {
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  layers.add({file("a/b/c", "1"), conformance::symlink("link", "/")});
  layers.add({file("a/b/d", "2")});
  for (const int error : {ENOSYS, EPERM}) {
    const std::string root = place / ("root-" + std::to_string(error));
    CHECK(support::deny({SYS_openat2}, error, [&] { return merge(layers, root); }).text == "");
    CHECK(tree_text(root) == "a/\na/b/\na/b/c: 1\na/b/d: 2\nlink -> /\n");
  }
}

TEST_CASE("merged copy: a link in a layer's place of a directory is not followed") {
  const support::temporary_directory place;
  conformance::write_file(place / "outside", "secret");
  layer_set layers(place / "layer-");
  layers.add({conformance::symlink("d", place.path()), file("e/x", "1")});
  layers.add({file("d/file", "2"), conformance::symlink("e", place.path())});
  REQUIRE(merge(layers, place / "root").ok());
  CHECK(tree_text(place / "root") == "d/\nd/file: 2\ne -> " + place.path() + '\n');
  CHECK(tree_text(place.path()).find("outside: secret") != std::string::npos);
}

TEST_CASE("merged copy: many directories are shared by threads, and links between them kept") {
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  std::vector<conformance::entry> low;
  std::vector<conformance::entry> high;
  for (int each = 0; each < 200; ++each) {
    const std::string directory = "d" + std::to_string(each % 20) + "/e" + std::to_string(each);
    low.push_back(file(directory + "/a", std::to_string(each)));
    low.push_back(hard_link(directory + "/linked", each == 0 ? "d0/e0/a" : "d0/e0/linked"));
    if (each % 3 == 0) high.push_back(file(directory + "/a", "high"));
    high.push_back(conformance::directory(directory, each % 2 == 0 ? 0500 : 0755));
  }
  layers.add(low);
  layers.add(high);
  REQUIRE(merge(layers, place / "root").ok());
  for (int each = 0; each < 200; ++each) {
    const std::string directory = place / ("root/d" + std::to_string(each % 20) + "/e" + std::to_string(each));
    CHECK(mode_of(directory) == (each % 2 == 0 ? 0500U : 0755U));
    CHECK(links_of(directory + "/linked") == 200);  // one of them lies hidden
    CHECK(*sys::read_file(directory + "/a") == (each % 3 == 0 ? "high" : std::to_string(each)));
  }
}

TEST_CASE("merged copy: the first failure of any thread ends all, and is said") {
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  std::vector<conformance::entry> all;
  for (int each = 0; each < 100; ++each) all.push_back(file("d" + std::to_string(each) + "/f"));
  layers.add(all);
  REQUIRE(::mkdir((place / "root").c_str(), 0700) == 0);
  REQUIRE(::mkdir((place / "root/d50").c_str(), 0700) == 0);
  const absl::Status status = rootfs::merged_copy<format>::run({layers.all()[0].directory}, place / "root");
  CHECK(absl::IsAlreadyExists(status));
  CHECK(message(status).find("d50") != std::string_view::npos);
}

TEST_CASE("merged copy: many directories far down take little memory") {
  if (support::memory_is_not_ours()) return;
  const support::temporary_directory place;
  layer_set layers(place / "layer-");
  std::string deep;
  for (int level = 0; level < 15; ++level) deep += std::string(250, 'd') + "/";
  layers.add({file(deep + "file", "x"), hard_link(deep + "link", deep + "file")});
  const auto at = sys::open(layers.all()[0].directory + "/" + deep, O_RDONLY | O_DIRECTORY);
  REQUIRE(at.ok());
  for (int each = 0; each < 20'000; ++each)
    REQUIRE(::mkdirat(at->get(), std::to_string(each).c_str(), each % 2 == 0 ? 0700 : 0500) == 0);
  const auto outcome = support::in_child({.deadline = std::chrono::minutes(2)}, [&]() -> std::string {
    rusage before{};
    rusage after{};
    (void)::getrusage(RUSAGE_SELF, &before);
    const absl::Status status = merge(layers, place / "root");
    (void)::getrusage(RUSAGE_SELF, &after);
    if (after.ru_maxrss - before.ru_maxrss > 32L << 10) return "too much memory";
    return std::string(message(status));
  });
  CHECK(outcome.text == "");
  CHECK(mode_of(place / ("root/" + deep + "1")) == 0500);
  CHECK(links_of(place / ("root/" + deep + "link")) == 2);
}
