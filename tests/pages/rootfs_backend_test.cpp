// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/backend.hpp>

#include <doctest/doctest.h>

#include <mortise/model/plan_text.hpp>
#include <mortise/rootfs/directory.hpp>
#include <pages/page.hpp>
#include <support/temporary.hpp>

// archetype
/// The least that a container takes for a backend: the top-most layer alone, as it lies in the store.
struct backend_archetype {
  using layer_format = mortise::model::overlay_layers;
  static constexpr std::string_view name = "archetype";

  absl::StatusOr<mortise::model::rootfs> provision(const mortise::rootfs::request& what,
                                                   mortise::model::plan& plan) const {
    const std::string root = what.directory + "/root";
    MORTISE_RETURN_IF_ERROR(mortise::rootfs::make_directory(root));
    const mortise::model::slot tree = plan.new_slot();
    plan.add(mortise::model::stage::root, mortise::model::op::clone_tree{what.layers.back().directory, tree, true,
                                                                         mortise::model::mount_flag::read_only});
    plan.add(mortise::model::stage::root, mortise::model::op::enter_root{tree, root});
    return mortise::model::rootfs{};
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const {
    return mortise::rootfs::destroy_directory(directory);
  }
};

static_assert(mortise::rootfs::backend<backend_archetype>);
// end of archetype

TEST_CASE("concepts: the page of rootfs-backend prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/rootfs-backend"));
}

TEST_CASE("concepts: the backend archetype plans a root and destroys it") {
  const support::temporary_directory place;
  const std::string mine = place / "mine";
  REQUIRE(mortise::sys::make_directories(mine).ok());
  mortise::model::plan plan;
  const mortise::model::layers layers = {{{}, "/usr"}};
  CHECK(backend_archetype().provision({layers, mine}, plan).ok());
  CHECK(mortise::model::to_text(plan) == mortise::concat("clone flags 0x0\nroot\n  share '/usr' recursively ro -> #1\n"
                                                         "  enter root '",
                                                         mine, "/root' <- #1\n"));
  CHECK(backend_archetype().destroy(mine).value_or(false));
  CHECK_FALSE(backend_archetype().destroy(mine).value_or(true));
}
