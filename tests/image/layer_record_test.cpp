// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/layer_record.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::image::layer_record;

namespace {
mortise::model::digest id(char digit) {
  return mortise::model::digest::parse("sha256:" + std::string(64, digit)).value();
}
}  // namespace

TEST_CASE("layer_record: what is written reads back") {
  for (const bool chained : {false, true}) {
    layer_record record{id('a'), {}, chained, 12, 34, "boot"};
    if (chained) record.chain_id = id('b');
    const auto back = layer_record::parse(record.text());
    REQUIRE(back.has_value());
    CHECK(back->diff_id == id('a'));
    CHECK(back->chain_id == record.chain_id);
    CHECK(back->opaque_root == chained);
    CHECK(back->entries == 12);
    CHECK(back->bytes == 34);
    CHECK(back->boot == "boot");
  }
  CHECK(layer_record::parse(layer_record{id('a'), {}, false, 0, 0, {}}.text())->boot.empty());
}

TEST_CASE("layer_record: a torn or foreign record is none") {
  const std::string text = layer_record{id('a'), id('b'), false, 12, 34, {}}.text();
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    const auto back = layer_record::parse(text.substr(0, size));
    if (back) CHECK_FALSE(back->holds());
  }
  CHECK_FALSE(layer_record::parse("layer 2" + text.substr(7)).has_value());
  CHECK_FALSE(layer_record::parse(std::string(text.size(), '\0')).has_value());
}

TEST_CASE("layer_record: a layer holds while its boot lasts, or once it is synced") {
  CHECK(layer_record{id('a'), {}, false, 0, 0, mortise::image::boot_id()}.holds());
  CHECK(layer_record{id('a'), {}, false, 0, 0, {}}.holds());
  CHECK_FALSE(layer_record{id('a'), {}, false, 0, 0, "another boot"}.holds());
  CHECK(mortise::image::boot_id().size() == 36);
}
