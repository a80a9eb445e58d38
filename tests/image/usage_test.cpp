// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/usage.hpp>

#include <doctest/doctest.h>

#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <string>
#include <support/skip.hpp>

TEST_CASE("usage: what an image takes alone and with others, each byte of the store once") {
  if (support::missing_root()) return;
  support::store_fixture here;
  const auto base =
      support::gzip_layer(support::tar_builder().directory("./").file("base", std::string(5000, 'x')).text());
  const auto top =
      support::gzip_layer(support::tar_builder().directory("./").file("top", std::string(300, 'y')).text());
  const std::string one = here.layout.put_image({base});
  const std::string two = here.layout.put_image({base, top});
  here.layout.write_index({support::descriptor(mortise::image::media::oci_manifest, one, support::tagged("one")),
                           support::descriptor(mortise::image::media::oci_manifest, two, support::tagged("two"))});
  auto store = mortise::image::store<support::remote_source>::open(here.directory);
  REQUIRE(store.ok());
  const std::string location = "remote:" + here.layout.path();
  for (const char* const tag : {":one", ":two"})
    REQUIRE(store->provide<mortise::model::overlay_layers>(location + tag).ok());

  auto usage = mortise::image::measure(store->directory());
  REQUIRE(usage.ok());
  REQUIRE(usage->images.size() == 2);
  const auto config_size = [](const std::vector<support::test_layer>& layers) {
    return support::config_text(layers).size();
  };
  CHECK(usage->images[0].location == location + ":one");
  CHECK(usage->images[0].shared == 5000 + base.blob.size());
  CHECK(usage->images[0].unique == one.size() + config_size({base}));
  CHECK(usage->images[1].shared == 5000 + base.blob.size());
  CHECK(usage->images[1].unique == 300 + top.blob.size() + two.size() + config_size({base, top}));
  CHECK(usage->layers == 5300);
  CHECK(usage->garbage == 0);
  CHECK(usage->total() == usage->images[0].unique + usage->images[1].unique + usage->images[0].shared);

  REQUIRE(store->remove(location + ":two").ok());
  support::write_file(here.directory + "/partial/sha256-1", "1234");
  const std::uint64_t unique = usage->images[1].unique;
  usage = mortise::image::measure(store->directory());
  REQUIRE(usage.ok());
  CHECK(usage->garbage == unique);
  CHECK(usage->partials == 4);
  CHECK(usage->images[0].shared == 0);

  support::write_file(here.directory + "/blobs/sha256/" + support::sha256(one).substr(7), "{}");
  usage = mortise::image::measure(store->directory());
  CHECK(usage->images[0].damaged);
}
