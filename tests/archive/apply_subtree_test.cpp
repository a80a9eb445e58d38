// SPDX-License-Identifier: Apache-2.0
// A directory of a tar as a layer: what an Appc image's rootfs is unpacked by.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <archive/layer_stack.hpp>
#include <archive/tar_builder.hpp>
#include <string>
#include <string_view>
#include <support/skip.hpp>
#include <vector>

using mortise::message;
using mortise::archive::apply_request;
using mortise::archive::subtree;
using support::layer_stack;
using support::tar_builder;
using strings = std::vector<std::string>;

namespace {

using unprivileged = layer_stack<mortise::model::unprivileged_overlay_layers>;

apply_request rootfs(std::function<bool(std::string_view)> shows = {}) {
  apply_request out;
  out.only = subtree{"rootfs", std::move(shows)};
  return out;
}

tar_builder sound() {
  tar_builder tar;
  tar.file("manifest", "{}").directory("rootfs/", 0711).directory("rootfs/bin/").file("rootfs/bin/sh", "#!");
  return tar;
}

std::string refusal(const tar_builder& tar, apply_request request = rootfs()) {
  unprivileged stack;
  const auto result = stack.add(tar.text(), std::move(request));
  CHECK_FALSE(result.ok());
  return std::string(message(result.status()));
}

}  // namespace

TEST_CASE("a subtree is unpacked as if it were the whole, and what lies beside it is not") {
  unprivileged stack;
  tar_builder tar = sound();
  tar.file("rootfsx", "x").file("other/rootfs/x", "x").hard_link("./rootfs/bin/ash", "/rootfs/bin/sh");
  tar.symlink("rootfs/out", "../../..");
  const auto result = stack.add(tar.text(), rootfs());
  REQUIRE_MESSAGE(result.ok(), message(result.status()));
  CHECK(result->root_entry);
  CHECK_FALSE(result->depends_on_lower);
  CHECK(stack.top().paths() == strings{"bin", "bin/ash", "bin/sh", "out"});
  CHECK(stack.top()["."].starts_with("dir 0711"));
  CHECK(stack.top().about("bin/sh").st_nlink == 2);
  unprivileged bare;
  CHECK_FALSE(bare.add(tar_builder().file("rootfs/x").text(), rootfs())->root_entry);
}

TEST_CASE("in a subtree the names of whiteouts are names like others") {
  unprivileged stack;
  REQUIRE(stack.add(tar_builder().file("d/gone", "kept").text()).ok());
  tar_builder tar = sound();
  tar.directory("rootfs/d/").file("rootfs/d/.wh.gone", "plain").file("rootfs/d/.wh..wh..opq", "plain");
  tar.directory("rootfs/.wh.dir/").file("rootfs/.wh.dir/x").file("rootfs/.wh.", "plain").file("rootfs/.wh..wh.plnk");
  const auto result = stack.add(tar.text(), rootfs());
  REQUIRE_MESSAGE(result.ok(), message(result.status()));
  CHECK(stack.top()["d/.wh.gone"].ends_with("'plain'"));
  CHECK(stack.top()["d/.wh..wh..opq"].ends_with("'plain'"));
  CHECK(stack.top()["d"].find("opaque") == std::string::npos);
  CHECK(stack.top()[".wh.dir/x"] != "");
  CHECK(stack.top()[".wh."] != "");
  CHECK(stack.top()[".wh..wh.plnk"] != "");
}

TEST_CASE("of a subtree only the paths that show are unpacked") {
  unprivileged stack;
  tar_builder tar = sound();
  tar.file("rootfs/bin/other").hard_link("rootfs/bin/ash", "rootfs/bin/sh").directory("rootfs/etc/");
  strings asked;
  const auto shows = [&asked](std::string_view path) {
    asked.emplace_back(path);
    return path == "bin" || path == "bin/sh" || path == "bin/ash";
  };
  REQUIRE(stack.add(tar.text(), rootfs(shows)).ok());
  CHECK(stack.top().paths() == strings{"bin", "bin/ash", "bin/sh"});
  CHECK(asked == strings{"bin", "bin/sh", "bin/other", "bin/ash", "bin/sh", "etc"});
}

TEST_CASE("hard links of a subtree lead neither out of it, nor to what is hidden, nor to a lower layer") {
  CHECK(refusal(sound().hard_link("rootfs/x", "manifest")) ==
        "unpack 'rootfs/x': link to 'manifest': it leads out of 'rootfs'");
  CHECK(refusal(sound().hard_link("rootfs/x", "/etc/shadow")).ends_with("it leads out of 'rootfs'"));
  CHECK(refusal(sound().hard_link("rootfs/x", "rootfsx/a")).ends_with("it leads out of 'rootfs'"));
  CHECK(refusal(sound().hard_link("rootfs/x", "rootfs/../manifest")).ends_with("its name contains '..'"));
  CHECK(refusal(sound().hard_link("rootfs/x", "rootfs")).ends_with("a hard link to the root directory"));
  CHECK(refusal(sound().symlink("rootfs/soft", "../..").hard_link("rootfs/x", "rootfs/soft/victim"))
            .ends_with("Too many levels of symbolic links"));
  const auto shows = [](std::string_view path) { return path != "bin/sh"; };
  CHECK(refusal(sound().hard_link("rootfs/x", "rootfs/bin/sh"), rootfs(shows)).ends_with("paths that are shown"));
  unprivileged stack;
  REQUIRE(stack.add(tar_builder().file("below", "lower").text()).ok());
  const auto result = stack.add(sound().hard_link("rootfs/x", "rootfs/below").text(), rootfs());
  CHECK(message(result.status()).ends_with("link to 'rootfs/below': it is not in the archive before the link"));
}

TEST_CASE("a subtree that is no directory, or a link on the way to an entry, is refused") {
  CHECK(refusal(tar_builder().symlink("rootfs", "/etc")) ==
        "unpack 'rootfs': the root is a symbolic link, and must be a directory");
  CHECK(refusal(sound().symlink("rootfs/soft", "/etc").file("rootfs/soft/x")).find("symbolic link as its parent") !=
        std::string::npos);
  CHECK(refusal(sound().file("rootfs/../x")).ends_with("its name contains '..'"));
  CHECK(refusal(sound().add({.name = "rootfs/gone", .type = '3'})).find("device 0:0") != std::string::npos);
}

TEST_CASE("a lower layer's symbolic link is replaced by a directory that something is put into, not followed") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder bottom;
  bottom.directory("rootfs/").directory("rootfs/usr/", 0700).directory("rootfs/usr/lib/").file("rootfs/usr/lib/x", "x");
  bottom.symlink("rootfs/lib", "usr/lib").symlink("rootfs/etc", "usr").file("rootfs/file", "lower");
  REQUIRE(stack.add(bottom.text(), rootfs()).ok());
  tar_builder upper;
  upper.directory("rootfs/").file("rootfs/lib/y", "y").directory("rootfs/etc/").file("rootfs/etc/z", "z");
  upper.file("rootfs/usr/w", "w").file("rootfs/file", "upper");
  const auto result = stack.add(upper.text(), rootfs());
  REQUIRE_MESSAGE(result.ok(), message(result.status()));
  CHECK(result->depends_on_lower);  // an implied parent looks as it does below
  const support::tree merged = stack.merged();
  CHECK(merged.paths() == strings{"etc", "etc/z", "file", "lib", "lib/y", "usr", "usr/lib", "usr/lib/x", "usr/w"});
  CHECK(merged["lib"] == "dir 0755 0:0");
  CHECK(merged["usr"] == "dir 0700 0:0");
  CHECK(merged["file"].ends_with("'upper'"));
}

TEST_CASE("a directory over a directory has the upper one's attributes and both one's content; others are replaced") {
  if (support::missing_root()) return;
  layer_stack stack;
  tar_builder bottom;
  bottom.directory("rootfs/d/", 0700).file("rootfs/d/low", "low").directory("rootfs/e/").file("rootfs/e/low");
  bottom.file("rootfs/f", "low");
  REQUIRE(stack.add(bottom.text(), rootfs()).ok());
  tar_builder upper;
  upper.directory("rootfs/d/", 0755).file("rootfs/d/up", "up").symlink("rootfs/e", "d").directory("rootfs/f/");
  REQUIRE(stack.add(upper.text(), rootfs()).ok());
  const support::tree merged = stack.merged();
  CHECK(merged.paths() == strings{"d", "d/low", "d/up", "e", "f"});
  CHECK(merged["d"] == "dir 0755 0:0");
  CHECK(merged["e"].ends_with("-> d"));
  CHECK(merged["f"] == "dir 0755 0:0");
}
