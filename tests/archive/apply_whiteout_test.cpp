// SPDX-License-Identifier: Apache-2.0
// How layers hide what is below them: by the form on disk, and by what overlayfs then shows.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <archive/layer_stack.hpp>
#include <archive/tar_builder.hpp>
#include <string>
#include <support/skip.hpp>
#include <vector>

using mortise::message;
using support::layer_stack;
using support::tar_builder;
using strings = std::vector<std::string>;

namespace {

/// A lower layer with something to hide.
std::string bottom() {
  tar_builder tar;
  tar.directory("dir/").file("dir/one", "1").file("dir/two", "2").directory("dir/sub/").file("dir/sub/three", "3");
  return tar.file("file", "f").symlink("soft", "file").text();
}

/// What overlayfs shows of the bottom and a layer of these entries, which may stand in any order.
strings shown(const std::vector<std::string>& names, std::string* directory = nullptr) {
  strings result;
  std::vector<std::size_t> order(names.size());
  for (std::size_t at = 0; at < order.size(); ++at) order[at] = at;
  bool first = true;
  do {
    layer_stack stack;
    REQUIRE(stack.add(bottom()).ok());
    tar_builder tar;
    for (const std::size_t at : order) names[at].ends_with("/") ? tar.directory(names[at]) : tar.file(names[at], "new");
    const auto added = stack.add(tar.text());
    REQUIRE_MESSAGE(added.ok(), std::string(message(added.status())));
    const support::tree merged = stack.merged();
    if (directory != nullptr) *directory = merged["dir"];
    if (!first) CHECK(merged.paths() == result);
    result = merged.paths();
    first = false;
  } while (std::next_permutation(order.begin(), order.end()));
  return result;
}

}  // namespace

TEST_CASE("whiteouts delete names of lower layers") {
  if (support::missing_root()) return;
  CHECK(shown({}) == strings{"dir", "dir/one", "dir/sub", "dir/sub/three", "dir/two", "file", "soft"});
  CHECK(shown({".wh.file"}) == strings{"dir", "dir/one", "dir/sub", "dir/sub/three", "dir/two", "soft"});
  CHECK(shown({".wh.dir"}) == strings{"file", "soft"});
  CHECK(shown({".wh.soft", "dir/.wh.one", "dir/sub/.wh.three"}) == strings{"dir", "dir/sub", "dir/two", "file"});
  CHECK(shown({".wh.nothing"}).size() == 7);  // there is nothing to delete
}

TEST_CASE("whiteouts spare what their own layer brings, wherever it stands in the tar") {
  if (support::missing_root()) return;
  CHECK(shown({".wh.file", "file"}) ==
        strings{"dir", "dir/one", "dir/sub", "dir/sub/three", "dir/two", "file", "soft"});
  CHECK(shown({".wh.dir", "dir/new"}) == strings{"dir", "dir/new", "file", "soft"});
  CHECK(shown({".wh.dir", "dir/", "dir/new"}) == strings{"dir", "dir/new", "file", "soft"});
  CHECK(shown({"dir/.wh.sub", "dir/sub/new"}) ==
        strings{"dir", "dir/one", "dir/sub", "dir/sub/new", "dir/two", "file", "soft"});
}

TEST_CASE("an opaque directory shows nothing of lower layers, wherever its mark stands in the tar") {
  if (support::missing_root()) return;
  CHECK(shown({"dir/.wh..wh..opq"}) == strings{"dir", "file", "soft"});
  CHECK(shown({"dir/.wh..wh..opq", "dir/new", "dir/sub/new"}) ==
        strings{"dir", "dir/new", "dir/sub", "dir/sub/new", "file", "soft"});
  CHECK(shown({"dir/.wh..wh..opq", "dir/one"}) == strings{"dir", "dir/one", "file", "soft"});
  CHECK(shown({"dir/", "dir/.wh..wh..opq", ".wh.dir"}) == strings{"dir", "file", "soft"});
}

TEST_CASE("plain whiteouts inside an opaque directory are dropped, or overlayfs would list them") {
  if (support::missing_root()) return;
  CHECK(shown({"dir/.wh..wh..opq", "dir/.wh.one", "dir/new"}) == strings{"dir", "dir/new", "file", "soft"});
  CHECK(shown({"dir/.wh..wh..opq", "dir/sub/.wh.three", "dir/sub/new"}) ==
        strings{"dir", "dir/sub", "dir/sub/new", "file", "soft"});
  CHECK(shown({".wh.dir", "dir/.wh.one", "dir/new"}) == strings{"dir", "dir/new", "file", "soft"});
}

TEST_CASE("a lower layer's file that is linked to goes with what hides it, and its other name stays") {
  if (support::missing_root()) return;
  const auto merged = [](tar_builder& tar) {
    layer_stack stack;
    REQUIRE(stack.add(bottom()).ok());
    const auto added = stack.add(tar.text());
    REQUIRE_MESSAGE(added.ok(), std::string(message(added.status())));
    return stack.merged().paths();
  };
  tar_builder by_name;
  by_name.directory("dir/").hard_link("link", "dir/one").file(".wh.dir");
  CHECK(merged(by_name) == strings{"dir", "file", "link", "soft"});
  tar_builder all;
  all.hard_link("link", "dir/sub/three").file("dir/sub/new").file("dir/.wh..wh..opq");
  CHECK(merged(all) == strings{"dir", "dir/sub", "dir/sub/new", "file", "link", "soft"});
  tar_builder later;
  later.file("dir/.wh..wh..opq").file("dir/one", "1").hard_link("link", "dir/one").file(".wh.dir");
  CHECK(merged(later) == strings{"dir", "dir/one", "file", "link", "soft"});
}

TEST_CASE("dropping whiteouts below an opaque directory leaves the times of directories alone") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder tar;
  tar.add({.name = "d/", .mtime = 10}).add({.name = "d/sub/", .mode = 0500, .mtime = 20}).file("d/sub/.wh.x");
  tar.file("elsewhere").file("d/.wh..wh..opq");
  REQUIRE(stack.add(tar.text()).ok());
  CHECK(stack.top().paths() == strings{"d", "d/sub", "elsewhere"});
  CHECK(stack.top().about("d").st_mtim.tv_sec == 10);
  CHECK(stack.top().about("d/sub").st_mtim.tv_sec == 20);
  CHECK(stack.top()["d/sub"] == "dir 0500 0:0");
}

TEST_CASE("whiteouts lie on disk as overlayfs wants them") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder tar;
  tar.directory("d/").file("d/.wh.gone").file(".wh.other").file("opaque/.wh..wh..opq").symlink("d/.wh.soft", "/etc");
  tar.add({.name = "d/.wh.hard", .link = ".wh..wh.aufs", .type = '1'});  // as Docker's AUFS driver wrote them
  tar.directory("d/.wh.dir/");
  const auto result = stack.add(tar.text());
  REQUIRE_MESSAGE(result.ok(), std::string(message(result.status())));
  CHECK_FALSE(result->opaque_root);
  const support::tree tree = stack.top();
  for (const char* const name : {"d/gone", "other", "d/soft", "d/hard", "d/dir"})
    CHECK_MESSAGE(tree[name] == "whiteout", name);
  CHECK(tree["opaque"] == "dir 0755 0:0 trusted.overlay.opaque=y");
  CHECK(tree.paths().size() == 7);
}

TEST_CASE("an opaque root is said to the caller, for overlayfs does not look") {
  if (support::missing_root()) return;
  layer_stack stack;
  REQUIRE(stack.add(bottom()).ok());
  const auto result = stack.add(tar_builder().file("new").file(".wh..wh..opq").file(".wh.file").text());
  REQUIRE(result.ok());
  CHECK(result->opaque_root);
  CHECK(stack.top().paths() == strings{"new"});
}

TEST_CASE("AUFS' metadata is passed over") {
  layer_stack<mortise::model::unprivileged_overlay_layers> stack;
  tar_builder tar;
  tar.directory(".wh..wh.plnk/").file(".wh..wh.plnk/1.2", "x").file(".wh..wh.aufs").directory(".wh..wh.orph/");
  tar.file("kept").file("dir/.wh..wh..opq.old");
  REQUIRE(stack.add(tar.text()).ok());
  CHECK(stack.top().paths() == strings{"kept"});
}

TEST_CASE("whiteouts that would delete a directory itself, or that have children, are refused") {
  for (const char* const name : {".wh.", "dir/.wh.", ".wh..", ".wh...", "dir/.wh..", "a/.wh.b/c", ".wh.b/.wh.c"}) {
    layer_stack<mortise::model::unprivileged_overlay_layers> stack;
    const absl::Status status = stack.add(tar_builder().file("dir/x").file(name).text()).status();
    CHECK_MESSAGE(status.code() == absl::StatusCode::kInvalidArgument, name);
    CHECK(message(status).find(name) != std::string_view::npos);
  }
}

TEST_CASE("a directory that only held whiteouts is deleted with its name") {
  if (support::missing_root()) return;
  CHECK(shown({".wh.dir", "dir/.wh.one"}) == strings{"file", "soft"});
  CHECK(shown({".wh.dir", "dir/sub/.wh.three", "dir/.wh.one"}) == strings{"file", "soft"});
  CHECK(shown({".wh.dir", "dir/", "dir/.wh.one"}) == strings{"dir", "file", "soft"});  // but the tar brings this one
}

TEST_CASE("a file that was only brought up to be linked to is deleted by its whiteout") {
  if (support::missing_root()) return;
  layer_stack stack;
  REQUIRE(stack.add(bottom()).ok());
  REQUIRE(stack.add(tar_builder().hard_link("renamed", "dir/one").file("dir/.wh.one").text()).ok());
  const support::tree tree = stack.top();
  CHECK(tree["dir/one"] == "whiteout");
  CHECK(tree["renamed"] == "file 0644 0:0 '1'");
  CHECK(stack.merged()["dir/one"] == "");
  // But a file of the layer's own stays.
  REQUIRE(
      stack.add(tar_builder().hard_link("again", "dir/two").file("dir/two", "own").file("dir/.wh.two").text()).ok());
  CHECK(stack.merged()["dir/two"] == "file 0644 0:0 'own'");
  CHECK(stack.merged()["again"] == "file 0644 0:0 '2'");
}

TEST_CASE("what a lower layer deleted or hid is neither inherited from nor linked to") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder first;
  first.add({.name = "a/", .mode = 0700, .uid = 1}).file("a/file").add({.name = "b/", .mode = 0700, .uid = 1});
  first.add({.name = "b/c/", .mode = 0700, .uid = 1}).file("b/c/file");
  REQUIRE(stack.add(first.text()).ok());
  REQUIRE(stack.add(tar_builder().file(".wh.a").file("b/.wh..wh..opq").text()).ok());
  const auto link = [&](const char* target) { return stack.add(tar_builder().hard_link("x", target).text()).status(); };
  CHECK(message(link("a/file")) == "unpack 'x': link to 'a/file': neither this layer nor one below has it");
  CHECK(message(link("b/c/file")) == "unpack 'x': link to 'b/c/file': neither this layer nor one below has it");
  REQUIRE(stack.add(tar_builder().file("a/new").file("b/c/new").text()).ok());
  CHECK(stack.top()["a"] == "dir 0755 0:0");
  CHECK(stack.top()["b"] == "dir 0700 1:0");
  CHECK(stack.top()["b/c"] == "dir 0755 0:0");
  // And what this layer itself deletes or hides.
  CHECK(message(stack.add(tar_builder().file(".wh.a").hard_link("x", "a/new").text()).status()) ==
        "unpack 'x': link to 'a/new': open './a' in the root: Not a directory");
  REQUIRE(stack.add(tar_builder().file(".wh.b").file("b/c/newer").text()).ok());
  CHECK(stack.top()["b"] == "dir 0755 0:0 trusted.overlay.opaque=y");
}
