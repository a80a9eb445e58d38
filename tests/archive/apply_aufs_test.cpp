// SPDX-License-Identifier: Apache-2.0
// Layers in the form that aufs reads: by what lies on disk, and by what they merge into, which is what those in
// overlayfs' form do.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <archive/layer_stack.hpp>
#include <archive/random_layers.hpp>
#include <archive/tar_builder.hpp>
#include <mortise/rootfs/merged_copy.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;
using support::layer_stack;
using support::tar_builder;
using strings = std::vector<std::string>;

namespace {

/// Unpacks and merges; a line for each inode, or why not.
template <class Format>
strings merged(const strings& tars) {
  const support::temporary_directory place;
  layer_stack<Format> stack(place.path());
  strings layers;
  for (const auto& tar : tars) {
    const auto added = stack.add(tar);
    if (!added.ok()) return {std::string(message(added.status()))};
    layers.insert(layers.begin(), stack.path());
    if (added->opaque_root) layers.resize(1);
  }
  const std::string root = place / "root";
  REQUIRE(::mkdir(root.c_str(), 0700) == 0);
  const absl::Status status = rootfs::merged_copy<Format>::run(layers, root);
  REQUIRE_MESSAGE(status.ok(), std::string(message(status)));
  strings out;
  const support::tree shown(root);
  for (const auto& [path, line] : shown.lines()) out.push_back(concat(path, ": ", line));
  return out;
}

/// The names in the top layer over one that has "dir/one", "dir/sub/two" and "file".
strings top(const tar_builder& tar, std::string* failure = nullptr) {
  layer_stack<model::aufs_layers> stack;
  tar_builder bottom;
  bottom.directory("dir/")
      .file("dir/one")
      .directory("dir/sub/")
      .file("dir/sub/two")
      .file("file")
      .symlink("odd", ".wh.x");
  REQUIRE(stack.add(bottom.text()).ok());
  const auto added = stack.add(tar.text());
  if (failure != nullptr) *failure = std::string(message(added.status()));
  return stack.top().paths();
}

}  // namespace

TEST_CASE("aufs layers merge into what overlay layers do, whatever they are") {
  if (support::missing_root()) return;
  unsigned refused = 0;
  for (unsigned seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    const auto tars = support::random_layers(seed).make();
    const auto wanted = merged<model::overlay_layers>(tars);
    refused += wanted.size() == 1 ? 1 : 0;
    CHECK(merged<model::aufs_layers>(tars) == wanted);
  }
  CHECK(refused > 10);
  CHECK(refused < 140);
}

TEST_CASE("aufs layers mark by names, and no mark lies beside what it names") {
  if (support::missing_root()) return;
  CHECK(top(tar_builder().file(".wh.file")) == strings{".wh.file"});
  CHECK(top(tar_builder().file(".wh.file").file(".wh.file")) == strings{".wh.file"});
  CHECK(top(tar_builder().file(".wh.file").file("file")) == strings{"file"});
  CHECK(top(tar_builder().file("file").file(".wh.file")) == strings{"file"});
  CHECK(top(tar_builder().file(".wh.file").symlink("file", "dir")) == strings{"file"});
  CHECK(top(tar_builder().file("new").file(".wh.file").hard_link("file", "new")) == strings{"file", "new"});
  CHECK(top(tar_builder().file(".wh.file").directory("file/")) == strings{"file", "file/.wh..wh..opq"});
  CHECK(top(tar_builder().file(".wh.dir").file("dir/new")) == strings{"dir", "dir/.wh..wh..opq", "dir/new"});
  CHECK(top(tar_builder().file("dir/new").file(".wh.dir")) == strings{"dir", "dir/.wh..wh..opq", "dir/new"});
  CHECK(top(tar_builder().file("dir/.wh.one").file("dir/sub/.wh.two").file(".wh.dir")) == strings{".wh.dir"});
  CHECK(top(tar_builder().file("dir/.wh.one").file("dir/.wh..wh..opq")) == strings{"dir", "dir/.wh..wh..opq"});
  CHECK(top(tar_builder().file("dir/.wh..wh..opq").file("dir/.wh.one")) == strings{"dir", "dir/.wh..wh..opq"});
}

TEST_CASE("aufs' own files are passed over, and no name of an image becomes a mark") {
  if (support::missing_root()) return;
  CHECK(top(tar_builder().directory(".wh..wh.plnk/").file(".wh..wh.plnk/1").file(".wh..wh.aufs")).empty());
  std::string why;
  CHECK(top(tar_builder().file(".wh.file").hard_link("new", ".wh.file"), &why) == strings{".wh.file"});
  CHECK(why == "unpack 'new': link to '.wh.file': aufs takes the name '.wh.file' for a whiteout's");
  CHECK(top(tar_builder().file("odd/new"), &why).empty());
  CHECK(why ==
        "unpack 'odd/new': follow the lower layers' symbolic link: aufs takes the name '.wh.x' for a whiteout's");
  top(tar_builder().file(".wh.file").hard_link("new", "file"), &why);
  CHECK(why == "unpack 'new': link to 'file': this layer deletes it");
}

TEST_CASE("a subtree for aufs has no names that look like marks") {
  if (support::missing_root()) return;
  layer_stack<model::aufs_layers> stack;
  mortise::archive::apply_request request;
  request.only = mortise::archive::subtree{"rootfs"};
  const auto added = stack.add(tar_builder().file("rootfs/fine").file("rootfs/d/.wh.x").text(), request);
  CHECK(message(added.status()) == "unpack 'rootfs/d/.wh.x': aufs takes the name '.wh.x' for a whiteout's");
}
