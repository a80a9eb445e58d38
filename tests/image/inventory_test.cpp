// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/inventory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <string>
#include <support/skip.hpp>
#include <vector>

using mortise::image::list_images;
using mortise::image::list_parts;
using mortise::image::stored_part;

TEST_CASE("inventory: lists images with their last use, and every part that they need") {
  if (support::missing_root()) return;
  support::store_fixture here;
  support::tar_builder second;
  second.file("d/file", "12345");  // implies its directory: kept by chain
  here.layout.write_image(
      {support::gzip_layer(support::tar_builder().directory("./").directory("d/", 0700).file("file", "123").text()),
       support::gzip_layer(second.text())});
  auto store = mortise::image::store<support::remote_source>::open(here.directory);
  REQUIRE(store.ok());
  const std::string location = "remote:" + here.layout.path() + ":latest";
  REQUIRE(store->provide<mortise::model::overlay_layers>(location).ok());
  REQUIRE(store->pin(location).ok());

  const auto images = list_images(store->directory());
  REQUIRE(images.ok());
  REQUIRE(images->size() == 1);
  CHECK(images->front().record.location == location);
  CHECK(images->front().pinned);
  const auto age = std::chrono::system_clock::now() - images->front().used;
  CHECK(age < std::chrono::minutes(2));

  auto parts = list_parts(store->directory());
  REQUIRE(parts.ok());
  mortise::image::part_finder finder(store->directory());
  const auto keys = finder.keys_of(images->front().record.manifest);
  REQUIRE(keys.ok());
  CHECK(parts->size() == 4 + 2);
  for (const stored_part& each : *parts) {
    CAPTURE(each.name);
    CHECK(std::binary_search((*keys)->begin(), (*keys)->end(), each.key));
    CHECK_FALSE(each.lost);
    CHECK_FALSE(each.synced);
    CHECK(each.is_blob == each.name.starts_with("blobs/sha256/"));
    if (!each.is_blob) CHECK(each.bytes == (each.name.starts_with("chains/") ? 5 : 3));
  }
  REQUIRE(store->settle().ok());
  parts = list_parts(store->directory());
  for (const stored_part& each : *parts) CHECK(each.synced == !each.is_blob);
}

TEST_CASE("inventory: what cannot be read is lost, and an image without documents fails") {
  if (support::missing_root()) return;
  support::store_fixture here;
  here.layout.write_image({support::plain_layer(support::tar_builder().directory("./").file("file").text())});
  REQUIRE(here.provide() == "");
  const auto store = mortise::image::store_directory::open(here.directory);
  REQUIRE(store.ok());
  const auto images = list_images(*store);
  const std::string layer = support::names_in(here.directory + "/layers/overlay").front();
  support::write_file(here.directory + "/layers/overlay/" + layer + "/record", "nonsense");
  const auto parts = list_parts(*store);
  for (const stored_part& each : *parts) CHECK(each.lost == !each.is_blob);
  support::write_file(
      here.directory + "/" + mortise::image::store_directory::blob_name(images->front().record.manifest.digest), "{}");
  CHECK(absl::IsDataLoss(mortise::image::part_finder(*store).keys_of(images->front().record.manifest).status()));
  support::write_file(here.directory + "/" + images->front().name, "nonsense");
  CHECK(list_images(*store)->empty());
}
