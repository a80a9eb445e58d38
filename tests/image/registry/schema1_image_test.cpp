// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/schema1_image.hpp>

#include <doctest/doctest.h>

#include <archive/pack.hpp>
#include <image/registry/fake_registry.hpp>
#include <image/registry/schema1_text.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <variant>
#include <vector>

using absl::StatusCode;
using mortise::message;
using mortise::image::distribution::convert_schema_1;
using mortise::image::distribution::converted_image;
using support::client_of;
using support::fake_registry;
using support::test_options;

namespace {

struct fixture {
  support::temporary_directory scratch;
  fake_registry here;
  std::string bottom = support::numbered_bytes(5000);
  std::string top = "top";

  absl::StatusOr<converted_image> convert(const std::string& text, const mortise::archive::limits& caps = {}) {
    const auto client = client_of(here.name(), test_options({here.server.host()}));
    return convert_schema_1(*client, text, "manifest", scratch.path(), caps);
  }
};

}  // namespace

TEST_CASE("schema 1 image: becomes one of today's form, its layers turned about and hashed") {
  fixture at;
  const std::string bottom = at.here.put_blob(support::gzip(at.bottom));
  const std::string top = at.here.put_blob(support::gzip(at.top));
  const std::string text = support::schema_1_text({{bottom, false}, {"", true}, {top, false}, {bottom, false}});
  const auto out = at.convert(text);
  REQUIRE_MESSAGE(out.ok(), message(out.status()));
  const auto parsed = mortise::image::oci::parse_manifest(*out->manifest.data, "m", out->manifest.type);
  REQUIRE_MESSAGE(parsed.ok(), message(parsed.status()));
  const auto& manifest = std::get<mortise::model::manifest>(*parsed);
  REQUIRE(manifest.layers.size() == 3);
  CHECK(manifest.layers[0].digest.text() == support::sha256(bottom));
  CHECK(manifest.layers[0].size == bottom.size());
  CHECK(manifest.layers[1].digest.text() == support::sha256(top));
  CHECK(manifest.config.digest == out->config_digest);
  CHECK(support::sha256(out->config) == out->config_digest.text());
  const auto config = mortise::image::oci::parse_config(out->config, "c");
  REQUIRE_MESSAGE(config.ok(), message(config.status()));
  CHECK(config->diff_ids.at(0).text() == support::sha256(at.bottom));
  CHECK(config->diff_ids.at(1).text() == support::sha256(at.top));
  CHECK(config->diff_ids.at(2) == config->diff_ids.at(0));
  CHECK(config->history.size() == 4);
  CHECK(config->cmd == std::vector<std::string>{"/run"});
  // What is twice in it is pulled once, and kept where nobody has a name for it.
  CHECK(at.here.server.count() == 2);
  CHECK(out->layers.size() == 2);
  CHECK(out->layers.at(support::sha256(top)).size == top.size());
  // The same manifest makes the same image.
  CHECK(at.convert(text)->manifest.digest == out->manifest.digest);
}

TEST_CASE("schema 1 image: layers that are not what their digest says, or no layers") {
  fixture at;
  const std::string layer = at.here.put_blob(support::gzip(at.bottom));
  const std::string text = support::schema_1_text({{layer, false}});
  at.here.blobs[support::sha256(layer)] = layer + "x";
  CHECK(at.convert(text).status().code() == StatusCode::kDataLoss);
  at.here.blobs.clear();
  CHECK(at.convert(text).status().code() == StatusCode::kNotFound);
  const std::string broken = at.here.put_blob(layer.substr(0, layer.size() / 2));
  CHECK(at.convert(support::schema_1_text({{broken, false}})).status().code() == StatusCode::kDataLoss);
  CHECK(at.convert("{}").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("schema 1 image: floods and bombs are cut") {
  std::atomic<std::uint64_t> sent = 0;  // before the server, whose threads write to it
  fixture at;
  mortise::archive::limits caps;
  caps.unpacked.count = 100'000;
  const std::string bomb = at.here.put_blob(support::gzip(std::string(1'000'000, '0')));
  CHECK(at.convert(support::schema_1_text({{bomb, false}}), caps).status().code() == StatusCode::kResourceExhausted);
  at.here.first = [&sent](const support::http_request&, support::http_connection& to) {
    to.send_head(200, {{"Transfer-Encoding", "chunked"}});
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    while (sent < (std::uint64_t{1} << 30) && to.send(chunk)) sent += chunk.size();
    return to.drop(), true;
  };
  CHECK_FALSE(at.convert(support::schema_1_text({{"layer", false}}), caps).ok());
  CHECK(sent < (std::uint64_t{32} << 20));
}
