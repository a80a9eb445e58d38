// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/conversion.hpp>

#include <doctest/doctest.h>

#include <image/appc/documents.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using mortise::message;
using namespace mortise::image;
using mortise::model::ac_image_id;
using strings = std::vector<std::string>;

namespace {

ac_image_id id_of(char letter) { return ac_image_id::parse("sha512-" + std::string(128, letter)).value(); }

absl::StatusOr<appc::oci_documents> convert(const std::string& text,
                                            const std::vector<appc::tar_layer>& layers = {{id_of('a'), 10, {}}}) {
  const auto manifest = appc::parse_image_manifest(text, "manifest");
  REQUIRE_MESSAGE(manifest.ok(), message(manifest.status()));
  return appc::convert(*manifest, text, layers);
}

mortise::model::image_config config_of(const std::string& text) {
  const auto documents = convert(text);
  REQUIRE_MESSAGE(documents.ok(), message(documents.status()));
  const auto config = oci::parse_config(documents->config, "config", oci::image_kind::appc);
  REQUIRE_MESSAGE(config.ok(), message(config.status()));
  return *config;
}

}  // namespace

TEST_CASE("conversion: how the app runs becomes a configuration that says the same") {
  const std::string text = support::aci_manifest(
      R"("labels":[{"name":"os","value":"linux"},{"name":"arch","value":"aarch64"},{"name":"version","value":"1\n\"2"}],
         "annotations":[{"name":"created","value":"2026-01-31T23:59:59Z"},{"name":"authors","value":"A <a@b>"},{"name":"com.docker/x","value":"y"}],
         "app":{"exec":["/bin/sh","-c","echo \"$X\" \u00e4"],"user":"app","group":"100","workingDirectory":"/w",
                "environment":[{"name":"A","value":"1=2"},{"name":"B","value":""}],
                "mountPoints":[{"name":"a","path":"/data"},{"name":"b","path":"/data"}],
                "ports":[{"name":"a","protocol":"tcp","port":80},{"name":"b","protocol":"udp","port":8000,"count":11}],
                "userLabels":{"io.kubernetes.x":"1"},"userAnnotations":{"a":"b"}})");
  const auto config = config_of(text);
  CHECK(config.platform.text() == "linux/arm64");
  CHECK(config.created == "2026-01-31T23:59:59Z");
  CHECK(config.author == "A <a@b>");
  CHECK(config.entrypoint == strings{"/bin/sh", "-c", "echo \"$X\" \xc3\xa4"});
  CHECK(config.cmd.empty());
  CHECK(config.env == strings{"A=1=2", "B="});
  CHECK(config.working_directory == "/w");
  CHECK(config.user == "app:100");
  CHECK(config.volumes == strings{"/data"});
  CHECK(config.exposed_ports == strings{"80/tcp", "8000-8010/udp"});
  CHECK(config.appc_manifest == text);
  CHECK(mortise::model::find(config.labels, "io.appc.name") == "example.com/app");
  CHECK(mortise::model::find(config.labels, "io.appc.label.version") == "1\n\"2");
  CHECK(mortise::model::find(config.labels, "io.appc.annotation.com.docker/x") == "y");
  CHECK(mortise::model::find(config.labels, "io.appc.user-label.io.kubernetes.x") == "1");
  CHECK(mortise::model::find(config.labels, "io.appc.user-annotation.a") == "b");
  for (const auto& [name, value] : config.labels) CHECK(name.starts_with("io.appc."));
}

TEST_CASE("conversion: an image without an app, for any platform") {
  const auto config = config_of(support::aci_manifest());
  CHECK(config.entrypoint.empty());
  CHECK(config.user.empty());
  CHECK(config.platform.text() == "unknown/unknown");
  CHECK(config.diff_ids == std::vector{id_of('a').digest()});
}

TEST_CASE("conversion: layers in rendering order, each with its whitelist where it has one") {
  const appc::path_filter some = appc::path_filter().narrowed({"/usr/bin", "/a\"b"});
  const auto documents =
      convert(support::aci_manifest(), {{id_of('b'), 20, some}, {id_of('a'), 10, {}}, {id_of('b'), 20, {}}});
  REQUIRE(documents.ok());
  CHECK(mortise::digest::of(*documents->manifest.data) == documents->manifest.digest);
  CHECK(documents->manifest.size == documents->manifest.data->size());
  const auto parsed = oci::parse_manifest(*documents->manifest.data, "manifest", documents->manifest.type);
  REQUIRE_MESSAGE(parsed.ok(), message(parsed.status()));
  const auto& manifest = std::get<mortise::model::manifest>(*parsed);
  CHECK(manifest.config.digest == documents->config_digest);
  CHECK(mortise::digest::of(documents->config) == documents->config_digest);
  REQUIRE(manifest.layers.size() == 3);
  CHECK(manifest.layers[0].digest == id_of('b').digest());
  CHECK(manifest.layers[0].size == 20);
  CHECK(role_of(manifest.layers[0].type) == role::appc_layer);
  CHECK(mortise::model::find(manifest.layers[0].annotations, appc_paths_annotation) == R"(["/a\"b","/usr/bin"])");
  CHECK(manifest.layers[1].annotations.empty());
  CHECK(subtree_of(manifest.layers[0]).value()->shows("usr/bin"));
  CHECK_FALSE(subtree_of(manifest.layers[0]).value()->shows("usr/lib"));
}

TEST_CASE("conversion: the same image gives the same bytes") {
  const std::string text = support::aci_app(R"("exec":["/a"])");
  CHECK(convert(text)->manifest.digest == convert(text)->manifest.digest);
  CHECK(convert(text)->manifest.digest != convert(text, {{id_of('b'), 10, {}}})->manifest.digest);
  CHECK(convert(text)->manifest.digest != convert(text + " ")->manifest.digest);
}

TEST_CASE("conversion: what OCI cannot state, and documents beyond their bounds, are refused") {
  const auto colon = convert(support::aci_manifest(R"("app":{"user":"a:b","group":"0"})"));
  CHECK(message(colon.status()) == "convert Appc image: a colon in the user 'a:b'");
  std::vector<std::string> long_list;
  for (int at = 0; at < 3000; ++at) long_list.push_back("/" + std::string(3000, 'x') + std::to_string(at));
  const auto large = convert(support::aci_manifest(), {{id_of('a'), 1, appc::path_filter().narrowed(long_list)}});
  CHECK(large.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(message(large.status()).starts_with("convert Appc image: its manifest takes "));
}
