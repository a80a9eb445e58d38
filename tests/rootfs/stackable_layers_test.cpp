// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/stackable_layers.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <conformance/layers.hpp>
#include <conformance/tree_text.hpp>

#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;
using conformance::file;
using format = model::aufs_layers;  // whose marks anybody can make, but owners only root
using strings = std::vector<std::string>;

TEST_CASE("stackable layers: the lowest of too many are merged, and the upper ones stay") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  conformance::layer_set<format> layers(place / "layer-");
  layers.add({file("a", "0"), file("gone", "0")});
  layers.add({file("a", "1"), conformance::whiteout("gone")});
  layers.add({file("b", "2")});
  const std::string box = place / "box";
  REQUIRE(::mkdir(box.c_str(), 0700) == 0);
  const auto name = [&](std::size_t which) { return layers.all()[which].directory; };
  CHECK(*rootfs::stackable_layers<format>({layers.all(), box}, 3) == strings{name(2), name(1), name(0)});
  CHECK(*rootfs::stackable_layers<format>({layers.all(), box}, 2) == strings{name(2), box + "/merged"});
  CHECK(conformance::tree_text(box + "/merged") == "a: 1\n");
  CHECK(rootfs::stackable_layers<format>({layers.all(), box}, 3, 2)->size() == 3);
  const model::layers only(layers.all().begin(), layers.all().begin() + 1);
  CHECK(*rootfs::stackable_layers<format>({only, box}, 3, 2) == strings{name(0), box + "/empty"});
  CHECK(conformance::tree_text(box + "/empty") == "");
  const auto again = rootfs::stackable_layers<format>({layers.all(), box}, 2);
  CHECK(message(again.status()).find("destroy it first") != std::string_view::npos);
}
