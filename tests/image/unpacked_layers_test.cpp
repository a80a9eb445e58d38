// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/unpacked_layers.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <string>
#include <support/temporary.hpp>

using mortise::image::layer_record;
using mortise::image::store_directory;
using mortise::image::unpacked_layers;

namespace {

mortise::model::digest id(const char* of) { return mortise::digest::of(of); }

struct layers_place {
  layers_place() : store(store_directory::open(place / "store").value()), layers(store, "overlay") {}

  /// Publishes a layer whose tree holds one file.
  std::string publish(const layer_record& record, const std::string& file) {
    const auto room = store.stage();
    REQUIRE(::mkdirat(room->fd(), "new", 0700) == 0);
    REQUIRE(::mkdirat(room->fd(), "new/tree", 0755) == 0);
    REQUIRE(mortise::sys::open_at(room->fd(), "new/tree/" + file, O_WRONLY | O_CREAT, 0644).ok());
    const auto published =
        layers.publish(*room, "new", {record.diff_id, record.chain_id.value_or(record.diff_id)}, record);
    REQUIRE(published.ok());
    return published->directory;
  }
  [[nodiscard]] bool there(const char* diff_id, const char* chain_id) const {
    return layers.find({id(diff_id), id(chain_id)}).has_value();
  }

  support::temporary_directory place;
  store_directory store;
  unpacked_layers layers;
};

}  // namespace

TEST_CASE("unpacked_layers: by diff ID for all images, by chain ID for those with the same layers below") {
  layers_place here;
  CHECK_FALSE(here.there("a", "chain"));
  const std::string tree = here.publish({id("a"), {}, false, 1, 2, {}}, "file");
  CHECK(tree.starts_with(here.store.path() + "/layers/overlay/"));
  CHECK(::access((tree + "/file").c_str(), F_OK) == 0);
  CHECK(here.there("a", "chain"));
  CHECK(here.there("a", "other chain"));
  here.publish({id("b"), id("chain"), true, 1, 2, {}}, "file");
  CHECK(here.there("b", "chain"));
  CHECK_FALSE(here.there("b", "other chain"));
  CHECK(here.layers.find({id("b"), id("chain")})->opaque_root);
  CHECK_FALSE(unpacked_layers(here.store, "another format").find({id("a"), id("chain")}).has_value());
}

TEST_CASE("unpacked_layers: the first to publish wins") {
  layers_place here;
  const std::string first = here.publish({id("a"), {}, false, 1, 2, {}}, "first");
  CHECK(here.publish({id("a"), {}, false, 1, 2, {}}, "second") == first);
  CHECK(::access((first + "/first").c_str(), F_OK) == 0);
  CHECK(::access((first + "/second").c_str(), F_OK) != 0);
}

TEST_CASE("unpacked_layers: what was not synced before another boot does not count, and is discarded") {
  layers_place here;
  const std::string tree = here.publish({id("a"), {}, false, 1, 2, {}}, "file");
  const std::string record = tree.substr(0, tree.rfind('/')) + "/record";
  const std::string sound = support::read_file(record);
  const auto rewritten = [&](const std::string& text) {
    support::write_file(record, text);
    return here.there("a", "chain");
  };
  CHECK(rewritten(layer_record{id("a"), {}, false, 1, 2, {}}.text()));
  CHECK_FALSE(rewritten(layer_record{id("a"), {}, false, 1, 2, "before"}.text()));
  CHECK_FALSE(rewritten(""));
  CHECK(rewritten(sound));
  const auto room = here.store.stage();
  CHECK(here.layers.discard_lost({id("a"), id("chain")}, *room).ok());
  CHECK(here.there("a", "chain"));
  support::write_file(record, "");
  CHECK(here.layers.discard_lost({id("a"), id("chain")}, *room).ok());
  CHECK(::access(tree.c_str(), F_OK) != 0);
  here.publish({id("a"), {}, false, 1, 2, {}}, "again");
  CHECK(here.there("a", "chain"));
}

TEST_CASE("unpacked_layers: settling marks what was published as synced") {
  layers_place here;
  const std::string tree = here.publish({id("a"), {}, false, 1, 2, {}}, "file");
  const std::string record = tree.substr(0, tree.rfind('/')) + "/record";
  CHECK(layer_record::parse(support::read_file(record))->boot == mortise::image::boot_id());
  CHECK(mortise::image::settle(here.store).ok());
  CHECK(layer_record::parse(support::read_file(record))->boot.empty());
  CHECK(mortise::image::settle(here.store).ok());
}
