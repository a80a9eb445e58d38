// SPDX-License-Identifier: Apache-2.0
#include <mortise/observer.hpp>

#include <doctest/doctest.h>

#include <container/box.hpp>
#include <support/skip.hpp>

namespace {

/// Writes down what it hears.
struct listener {
  std::string heard;
  void begin(const mortise::container_id& id, mortise::step which) {
    mortise::append(heard, id.text(), " begins ", mortise::name_of(which), '\n');
  }
  void end(const mortise::container_id& id, mortise::step which, const absl::Status& status) {
    mortise::append(heard, id.text(), status.ok() ? " ends " : " fails to ", mortise::name_of(which), '\n');
  }
  void progress(const mortise::container_id&, const mortise::image::progress&) {}
};
struct deaf {
  void begin(const mortise::container_id&, mortise::step) {}
};
static_assert(mortise::observer<listener> && !mortise::observer<deaf>);

using heard_box = mortise::basic_container<mortise::image::directory, mortise::rootfs::overlay, mortise::launch::clone,
                                           listener, mortise::isolate::standard>;

}  // namespace

TEST_CASE("observer: hears each step begin and end, also of a launch that fails") {
  if (support::missing_root() || support::missing_program("busybox")) return;
  const boxes::scene place;
  auto host = boxes::open_host<heard_box>(place);
  const auto id = *mortise::container_id::parse("x");
  CHECK(boxes::run(host, heard_box::launch_options{.image = place.image(), .args = {"/bin/true"}, .id = id}).code == 0);
  CHECK(std::exchange(host.observer().heard, {}) ==
        "x begins fetch\nx ends fetch\nx begins provision\nx ends provision\nx begins prepare\nx ends prepare\n"
        "x begins spawn\nx ends spawn\nx begins destroy\nx ends destroy\n");
  CHECK(!host.launch({.image = place.image(), .args = {"/none"}, .id = id}).ok());
  CHECK(std::exchange(host.observer().heard, {}) ==
        "x begins fetch\nx ends fetch\nx begins provision\nx ends provision\nx begins prepare\nx ends prepare\n"
        "x begins spawn\nx fails to spawn\nx begins destroy\nx ends destroy\n");
  CHECK(!host.launch({.image = "/none", .id = id}).ok());
  CHECK(host.observer().heard == "x begins fetch\nx fails to fetch\n");
}
