// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/directory.hpp>

#include <doctest/doctest.h>
#include <conformance/layers.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using namespace mortise;
using format = model::unprivileged_overlay_layers;
using layer_set = conformance::layer_set<format>;

TEST_CASE("rootfs directory: is made once, for its owner only") {
  const support::temporary_directory directory;
  CHECK(rootfs::make_directory(directory / "root").ok());
  struct stat about{};
  REQUIRE(::stat((directory / "root").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0700);
  const absl::Status again = rootfs::make_directory(directory / "root");
  CHECK(again.code() == absl::StatusCode::kAlreadyExists);
  CHECK(message(again) == "make directory '" + (directory / "root") +
                              "': File exists (a root was provisioned here before: destroy it first)");
}

TEST_CASE("rootfs directory: destroy says whether there was something") {
  const support::temporary_directory directory;
  REQUIRE(sys::make_directories(directory / "box/deep/deeper").ok());
  CHECK(rootfs::destroy_directory(directory / "box").value());
  CHECK_FALSE(rootfs::destroy_directory(directory / "box").value());
  CHECK_FALSE(rootfs::destroy_directory(directory / "no/such/box").value());
  conformance::write_file(directory / "file", "");
  CHECK_FALSE(rootfs::destroy_directory(directory / "file/box").value());
}

TEST_CASE("rootfs directory: destroy names what it may not remove") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  REQUIRE(sys::make_directories(directory / "box/inner").ok());
  const auto refused = support::in_child({.uid = support::nobody},
                                         [&] { return rootfs::destroy_directory(directory / "box").status(); });
  CHECK(refused.code == 1);
  CHECK(refused.text == "destroy root: remove '" + (directory / "box") + "': Permission denied");
}

TEST_CASE("rootfs directory: overlayfs' own attributes are told from others") {
  CHECK(rootfs::is_overlay_xattr("trusted.overlay.opaque"));
  CHECK(rootfs::is_overlay_xattr("user.overlay.redirect"));
  CHECK_FALSE(rootfs::is_overlay_xattr("user.overlay"));
  CHECK_FALSE(rootfs::is_overlay_xattr("security.capability"));
}

TEST_CASE("rootfs directory: only the value y makes a directory opaque") {
  const support::temporary_directory directory;
  const auto is_opaque = [&](const char* value) {
    if (value != nullptr) ::setxattr(directory.path().c_str(), format::opaque_xattr, value, std::strlen(value), 0);
    return rootfs::is_opaque<format>(directory.path());
  };
  CHECK_FALSE(is_opaque(nullptr).value());
  CHECK(is_opaque("y").value());
  CHECK_FALSE(is_opaque("x").value());
  CHECK_FALSE(is_opaque("yes").value());
  CHECK_FALSE(is_opaque("").value());
  CHECK(rootfs::is_opaque<format>(directory / "missing").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("rootfs directory: layers are visible from the top, once, down to an opaque root") {
  const support::temporary_directory directory;
  layer_set layers(directory / "layer-");
  CHECK(rootfs::visible_layers<format>(layers.all()).status().code() == absl::StatusCode::kInvalidArgument);
  layers.add({});
  layers.add({});
  layers.add({conformance::opaque(".")});
  const std::string prefix = directory / "layer-";
  using paths = std::vector<std::string>;
  CHECK(rootfs::visible_layers<format>(layers.all()).value() == paths{prefix + '2'});
  layers.add({});
  layers.repeat(1);
  layers.repeat(3);
  CHECK(rootfs::visible_layers<format>(layers.all()).value() == paths{prefix + '3', prefix + '1', prefix + '2'});
}

TEST_CASE("rootfs directory: what a store knows of a layer's root is not looked up") {
  const support::temporary_directory directory;
  layer_set set(directory / "layer-");
  for (int each = 0; each < 3; ++each) set.add({});
  model::layers layers = set.all();
  layers[0].directory = directory / "missing";
  layers[1].opaque_root = true;
  layers[2].opaque_root = false;
  const std::string prefix = directory / "layer-";
  using paths = std::vector<std::string>;
  CHECK(rootfs::visible_layers<format>(layers).value() == paths{prefix + '2', prefix + '1'});
  layers[1].opaque_root = {};
  CHECK(rootfs::visible_layers<format>(layers).status().code() == absl::StatusCode::kNotFound);
}
