// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/layer_view.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using mortise::message;
using mortise::image::subtree_of;
using mortise::image::tree_key;
using mortise::model::descriptor;
using mortise::model::media_type;
namespace media = mortise::image::media;

namespace {

const mortise::model::digest tar = mortise::digest::of("tar");

descriptor layer(std::string_view type, const std::string& paths = {}) {
  descriptor out{media_type::parse(type).value(), tar, 3, {}, {}, {}, {}, {}};
  if (!paths.empty()) out.annotations.emplace_back(mortise::image::appc_paths_annotation, paths);
  return out;
}

}  // namespace

TEST_CASE("layer view: OCI's and Docker's layers are seen as they are, whatever their annotations say") {
  for (const std::string_view type : {media::oci_layer, media::docker_layer, media::oci_foreign_layer}) {
    CHECK(tree_key(layer(type, R"(["/a"])"), tar) == tar);
    CHECK_FALSE(subtree_of(layer(type, R"(["/a"])"))->has_value());
    CHECK(subtree_of(layer(type, "no list")).ok());
  }
}

TEST_CASE("layer view: an Appc layer is its rootfs") {
  const auto whole = subtree_of(layer(media::appc_layer)).value();
  CHECK(whole->directory == "rootfs");
  CHECK_FALSE(whole->shows);
  const auto some = subtree_of(layer(media::appc_layer, R"(["/usr/bin/map"])")).value();
  for (const char* const path : {"usr", "usr/bin", "usr/bin/map"}) CHECK(some->shows(path));
  for (const char* const path : {"usr/bin/maps", "usr/bin/map/x", "us", "etc"}) CHECK_FALSE(some->shows(path));
  for (const char* const none : {"[]", R"(["/"])"})
    CHECK_FALSE(subtree_of(layer(media::appc_layer, none)).value()->shows("usr"));
}

TEST_CASE("layer view: each whitelist makes a tree of its own, that no OCI layer of the same bytes shares") {
  const auto key = [](const std::string& paths, const mortise::model::digest& of = tar) {
    return tree_key(layer(media::appc_layer, paths), of);
  };
  CHECK(key("") == mortise::digest::of("appc rootfs\n" + tar.text() + "\n"));
  CHECK(key("") != tar);
  CHECK(key("") == key(""));
  CHECK(key(R"(["/a"])") != key(""));
  CHECK(key(R"(["/a"])") != key(R"(["/b"])"));
  CHECK(key(R"(["/a"])") != key(R"(["/a"])", mortise::digest::of("other")));
}

TEST_CASE("layer view: a whitelist that is none is refused") {
  for (const char* const bad : {"x", "{}", "[1]", R"(["usr"])", R"([""])", R"(["/a"] x)"}) {
    const absl::Status status = subtree_of(layer(media::appc_layer, bad)).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(message(status).starts_with("parse io.github.mortise.appc.paths: "));
  }
}
