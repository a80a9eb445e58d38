// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/ready_layers.hpp>

#include <doctest/doctest.h>

#include <support/temporary.hpp>
#include <thread>

using namespace mortise;

TEST_CASE("who needs the layers below waits until all of them are there") {
  const support::temporary_directory place;
  image::ready_layers layers(3);
  image::lower_trees below;
  std::jthread maker([&] {
    layers.set(1, image::unpacked_layer{place.path(), false});
    layers.set(0, image::unpacked_layer{place.path(), false});
  });
  CHECK(layers.open_below(2, below, [] { return absl::OkStatus(); }).ok());
  CHECK(below.fds.size() == 2);
  CHECK(layers.open_below(2, below, [] { return absl::OkStatus(); }).ok());
  CHECK(below.fds.size() == 2);
}

TEST_CASE("nobody waits for layers that will not come") {
  image::ready_layers layers(2);
  image::lower_trees below;
  CHECK(absl::IsAborted(layers.open_below(1, below, [] { return absl::AbortedError("given up"); })));
  CHECK(below.fds.empty());
  layers.set(0, image::unpacked_layer{"/nowhere/at/all", false});
  CHECK(absl::IsNotFound(layers.open_below(1, below, [] { return absl::OkStatus(); })));
}
