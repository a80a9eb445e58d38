// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/backend.hpp>

#include <doctest/doctest.h>

using namespace mortise;

namespace {

/// The least that a backend is.
struct smallest {
  using layer_format = model::overlay_layers;
  static constexpr std::string_view name = "smallest";
  absl::StatusOr<model::rootfs> provision(const rootfs::request&, model::plan&) const { return model::rootfs{}; }
  absl::StatusOr<bool> destroy(const std::string&) const { return false; }
};

struct nameless : smallest {
 private:
  using smallest::name;
};
struct without_destroy : smallest {
  void destroy(const std::string&) const = delete;
};
struct changing : smallest {
  absl::StatusOr<model::rootfs> provision(const rootfs::request&, model::plan&) { return model::rootfs{}; }
};
struct careless : smallest {
  void destroy(const std::string&) const {}
};

static_assert(rootfs::backend<smallest>);
static_assert(!rootfs::backend<nameless>);
static_assert(!rootfs::backend<without_destroy>);
static_assert(!rootfs::backend<changing>, "provision may be called for several containers at once, so it is const");
static_assert(!rootfs::backend<careless>, "destroy says whether there was something, and what went wrong");

}  // namespace

TEST_CASE("rootfs backend: the smallest model is asked for layers and a directory") {
  const model::layers layers;
  const std::string directory = "/nowhere";
  model::plan plan;
  CHECK(smallest().provision({layers, directory}, plan)->writable.empty());
  CHECK_FALSE(*smallest().destroy(directory));
}
