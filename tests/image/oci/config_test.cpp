// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/oci/config.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <string>
#include <string_view>

using mortise::message;
using mortise::image::oci::parse_config;

namespace {

bool says(std::string_view text, std::string_view part) {
  const auto result = parse_config(text, "it");
  const std::string said(message(result.status()));
  CAPTURE(said);
  return !result.ok() && said.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("config: everything that concerns a run is read") {
  const auto config = parse_config(support::config_text({support::plain_layer("x")}, R"(,
    "created":"2026-01-01T00:00:00Z","author":"someone","variant":"v2",
    "config":{"User":"1000:100","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","X="],"Entrypoint":["/init"],"Cmd":["a","b"],
              "Volumes":{"/data":{},"/tmp":null},"WorkingDir":"/w","Labels":{"l":"v"},"StopSignal":"SIGINT","ArgsEscaped":true},
    "history":[{"created_by":"RUN x"},{"empty_layer":true}])"),
                                   "it");
  REQUIRE(config.ok());
  CHECK(config->platform.text() == "linux/amd64/v2");
  CHECK(config->user == "1000:100");
  CHECK(config->env == std::vector<std::string>{"PATH=/bin", "X="});
  CHECK(config->entrypoint == std::vector<std::string>{"/init"});
  CHECK(config->cmd == std::vector<std::string>{"a", "b"});
  CHECK(config->volumes == std::vector<std::string>{"/data", "/tmp"});
  CHECK(config->exposed_ports == std::vector<std::string>{"80/tcp"});
  CHECK(config->working_directory == "/w");
  CHECK(config->stop_signal == "SIGINT");
  CHECK(mortise::model::find(config->labels, "l") == "v");
  CHECK(config->diff_ids.front().text() == support::sha256("x"));
  CHECK(config->history.back().empty_layer);
  CHECK(config->author == "someone");
}

TEST_CASE("config: an optional member may be null") {
  const auto config = parse_config(support::config_text({}, R"(,"author":null,"history":null,
    "config":{"User":null,"Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,"Labels":null})"),
                                   "it");
  REQUIRE(config.ok());
  CHECK(config->entrypoint.empty());
  CHECK(config->diff_ids.empty());
  CHECK(parse_config(support::config_text({}, R"(,"config":null)"), "it").ok());
}

TEST_CASE("config: what is wrong is named") {
  CHECK(says(R"({"os":"linux"})", "'rootfs' is missing"));
  CHECK(says(R"({"rootfs":{"type":"zip","diff_ids":[]}})", "'zip' is not supported"));
  CHECK(says(R"({"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})", "at 'rootfs.diff_ids[0]'"));
  CHECK(says(support::config_text({}, R"(,"config":{"Env":"A=B"})"), "at 'config.Env': it must be an array"));
  CHECK(says(support::config_text({}, R"(,"config":{"Cmd":[1]})"), "at 'config.Cmd[0]'"));
  CHECK(says(support::config_text({}, R"(,"config":[])"), "at 'config': it must be an object"));
  CHECK(says(support::config_text({}, R"(,"history":[{"empty_layer":1}])"), "at 'history[0].empty_layer'"));
  CHECK(says("[", "parse it: not JSON"));
}

TEST_CASE("config: an Appc manifest in it is read of Appc images only") {
  const std::string text = R"({"rootfs":{"type":"layers"},"appc":{"manifest":"{}"}})";
  CHECK(parse_config(text, "it")->appc_manifest.empty());
  CHECK(parse_config(text, "it", mortise::image::oci::image_kind::appc)->appc_manifest == "{}");
  CHECK(parse_config(R"({"rootfs":{"type":"layers"}})", "it", mortise::image::oci::image_kind::appc)
            ->appc_manifest.empty());
  CHECK(parse_config(R"({"rootfs":{"type":"layers"},"appc":1})", "it").ok());
  CHECK_FALSE(
      parse_config(R"({"rootfs":{"type":"layers"},"appc":1})", "it", mortise::image::oci::image_kind::appc).ok());
}
