// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/manifest.hpp>

#include <doctest/doctest.h>

#include <image/appc/documents.hpp>
#include <string>
#include <string_view>
#include <vector>

using mortise::message;
using mortise::image::appc::image_manifest;
using mortise::image::appc::parse_image_manifest;
using support::aci_app;
using support::aci_manifest;

namespace {

bool says(std::string_view text, std::string_view part, absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto result = parse_image_manifest(text, "it");
  const std::string said(message(result.status()));
  CAPTURE(said);
  CAPTURE(part);
  const bool right =
      result.status().code() == code && said.starts_with("parse it: ") && said.find(part) != std::string::npos;
  CHECK(right);
  return right;
}

bool good(std::string_view text) {
  const auto result = parse_image_manifest(text, "it");
  CAPTURE(text);
  CHECK_MESSAGE(result.ok(), message(result.status()));
  return result.ok();
}

}  // namespace

TEST_CASE("appc manifest: everything is read") {
  const std::string id = "sha512-" + std::string(128, 'b');
  const auto image = parse_image_manifest(R"({
    "acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/reduce-worker","unknown":{"x":1},
    "labels":[{"name":"version","value":"1.0.0"},{"name":"arch","value":"amd64"},{"name":"os","value":"linux"}],
    "app":{"exec":["/usr/bin/reduce","--quiet"],"user":"100","group":"/etc/group","supplementaryGIDs":[400,500],
      "eventHandlers":[{"exec":["/bin/pre"],"name":"pre-start"},{"exec":["/bin/post"],"name":"post-stop"}],
      "workingDirectory":"/opt//work","environment":[{"name":"REDUCE.DEBUG-1","value":"true"},{"name":"_E","value":""}],
      "isolators":[{"name":"resource/cpu","value":{"request":"250m","limit":"250m"}},{"name":"example.com/odd","value":[1]}],
      "mountPoints":[{"name":"work","path":"/var/lib/work","readOnly":true}],
      "ports":[{"name":"health","port":4000,"protocol":"tcp","socketActivated":true},{"name":"range","port":5000,"protocol":"udp","count":10}],
      "userAnnotations":{"k":"v"},"userLabels":{"l":"w"}},
    "dependencies":[{"imageName":"example.com/base","imageID":")" +
                                              id + R"(","labels":[{"name":"os","value":"linux"}],"size":22017258}],
    "pathWhitelist":["/etc/ca/example.com/crt","/usr/bin/map"],
    "annotations":[{"name":"authors","value":"A <a@example.com>"},{"name":"created","value":"2014-10-27T19:32:27.67021798Z"},
      {"name":"homepage","value":"https://example.com"}]})",
                                          "it");
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  CHECK(image->version == "0.8.11");
  CHECK(!image->older);
  CHECK(image->name == "example.com/reduce-worker");
  CHECK(image->labels.text() == "version=1.0.0,arch=amd64,os=linux");
  REQUIRE(image->app);
  CHECK(image->app->exec == std::vector<std::string>{"/usr/bin/reduce", "--quiet"});
  CHECK(image->app->user == "100");
  CHECK(image->app->group == "/etc/group");
  CHECK(image->app->supplementary_gids == std::vector<std::uint32_t>{400, 500});
  CHECK(image->app->event_handlers.at(1).name == "post-stop");
  CHECK(image->app->event_handlers.at(1).exec.front() == "/bin/post");
  CHECK(image->app->working_directory == "/opt/work");
  CHECK(image->app->environment.front() == std::pair<std::string, std::string>("REDUCE.DEBUG-1", "true"));
  CHECK(image->app->isolators.size() == 2);
  CHECK(image->app->mount_points.front().read_only);
  CHECK(image->app->mount_points.front().path == "/var/lib/work");
  CHECK(image->app->ports.front().socket_activated);
  CHECK(image->app->ports.front().count == 1);
  CHECK(image->app->ports.at(1).first == 5000);
  CHECK(image->app->ports.at(1).count == 10);
  CHECK(mortise::model::find(image->app->user_annotations, "k") == "v");
  CHECK(mortise::model::find(image->app->user_labels, "l") == "w");
  REQUIRE(image->dependencies.size() == 1);
  CHECK(image->dependencies.front().id->text() == id);
  CHECK(image->dependencies.front().size == 22017258U);
  CHECK(image->path_whitelist.at(1) == "/usr/bin/map");
  CHECK(image->annotations.size() == 3);
}

TEST_CASE("appc manifest: what may be left out has its default") {
  const auto image = parse_image_manifest(aci_app(R"("labels":null,"ports":null,"workingDirectory":"")"), "it");
  REQUIRE(image.ok());
  CHECK(image->app->working_directory == "/");
  CHECK(image->app->exec.empty());
  CHECK(image->dependencies.empty());
  CHECK(!parse_image_manifest(aci_manifest(), "it")->app);
  CHECK(good(aci_manifest(R"("app":null,"labels":null,"dependencies":null,"pathWhitelist":null,"annotations":null)")));
  CHECK(!parse_image_manifest(aci_manifest(R"("dependencies":[{"imageName":"a","size":0}])"), "it")
             ->dependencies.front()
             .size);
}

TEST_CASE("appc manifest: kind, version and name must be there and sound") {
  says("{}", "'acKind' is missing");
  says("[]", "it must be an object");
  says("7", "it must be an object");
  says(R"({"acKind":"PodManifest","acVersion":"0.8.11","name":"a"})",
       "at 'acKind': 'PodManifest' is not ImageManifest");
  says(R"({"ackind":"ImageManifest","acVersion":"0.8.11","name":"a"})", "'acKind' is missing");
  says(R"({"acKind":"ImageManifest","name":"a"})", "'acVersion' is missing");
  says(R"({"acKind":"ImageManifest","acVersion":"0.8.11"})", "'name' is missing");
  says(aci_manifest("", "Upper"), "at 'name': parse AC identifier 'Upper'");
  says(aci_manifest("", "../../etc/passwd"), "at 'name': parse AC identifier");
  says(aci_manifest("", ""), "at 'name'");
  const auto version = [](std::string_view text) {
    return mortise::concat(R"({"acKind":"ImageManifest","acVersion":")", text, R"(","name":"a"})");
  };
  for (const char* const text : {"0.8.11", "0.8.11+git", "0.1.0", "0.8.10-rc.1", "0.0.0"}) CHECK(good(version(text)));
  for (const char* const text : {"", "1", "0.8", "0.8.1.1", "v0.8.1", "0.8.x", "0.08.1", "0.8.1 ", "0.8.1-",
                                 "0.8.1+\\u00e9", "0.8.99999999999", "-1.0.0"})
    says(version(text), "is not a semantic version");
  for (const char* const text : {"0.8.12", "0.9.0", "1.0.0"}) says(version(text), "is newer than 0.8.11");
}

TEST_CASE("appc manifest: labels, dependencies, whitelist and annotations are checked") {
  says(aci_manifest(R"("labels":[{"name":"name","value":"x"}])"), "none may be called 'name'");
  says(aci_manifest(R"("labels":[{"name":"os","value":"beos"}])"), "os 'beos'");
  says(aci_manifest(R"("labels":{"os":"linux"})"), "at 'labels': it must be an array");
  says(aci_manifest(R"("dependencies":[{"imageName":"A"}])"), "at 'dependencies[0].imageName'");
  says(aci_manifest(R"("dependencies":[{}])"), "'imageName' is missing");
  says(aci_manifest(R"("dependencies":[{"imageName":"a","imageID":"sha512-abc"}])"),
       "at 'dependencies[0].imageID': parse image ID");
  says(aci_manifest(R"("dependencies":[{"imageName":"a","size":-1}])"), "at 'dependencies[0].size'");
  says(aci_manifest(R"("pathWhitelist":["etc/passwd"])"),
       "at 'pathWhitelist[0]': 'etc/passwd' is not an absolute path");
  says(aci_manifest(R"("pathWhitelist":["/a/../b"])"), "contains '..'");
  says(aci_manifest(R"("annotations":[{"name":"a","value":"1"},{"name":"a","value":"2"}])"),
       "at 'annotations': 'a' occurs twice");
  says(aci_manifest(R"("annotations":[{"name":"homepage","value":"javascript:x"}])"), "is not an http or https URL");
  const auto created = [](std::string_view text) {
    return aci_manifest(mortise::concat(R"("annotations":[{"name":"created","value":")", text, R"("}])"));
  };
  for (const char* const text :
       {"2026-01-31T23:59:59Z", "2026-01-31T00:00:00.123456789+05:30", "0001-01-01T00:00:00-23:59"})
    CHECK(good(created(text)));
  for (const char* const text :
       {"", "yesterday", "2026-01-31", "2026-13-01T00:00:00Z", "2026-01-32T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T00:60:00Z", "2026-01-31T00:00:00", "2026-01-31T00:00:00.Z",
        "2026-01-31T00:00:00.5", "2026-01-31T00:00:00+5:30", "2026-01-31T00:00:00+24:00", "2026-01-31 00:00:00Z"})
    says(created(text), "is not a date of RFC 3339");
}

TEST_CASE("appc manifest: the app is checked, field by field") {
  says(aci_manifest(R"("app":{"group":"0"})"), "at 'app': 'user' is missing");
  says(aci_manifest(R"("app":{"user":"0"})"), "at 'app': 'group' is missing");
  says(aci_manifest(R"("app":{"user":"","group":"0"})"), "at 'app.user': it must not be empty");
  says(aci_manifest(R"("app":{"user":0,"group":"0"})"), "at 'app.user': it must be a string");
  says(aci_app(R"("exec":"/bin/sh")"), "at 'app.exec': it must be an array");
  says(aci_app(R"("exec":[""])"), "at 'app.exec': its first element must not be empty");
  says(aci_app(R"("exec":["/bin/sh","a\u0000b"])"), "at 'app.exec[1]': it holds a zero byte");
  says(aci_app(R"("supplementaryGIDs":[4294967295])"), "4294967295 is not a group ID");
  says(aci_app(R"("supplementaryGIDs":[-1])"), "at 'app.supplementaryGIDs[0]'");
  says(aci_app(R"("eventHandlers":[{"name":"on-fire","exec":["/a"]}])"), "'on-fire' is not an event");
  says(aci_app(R"("eventHandlers":[{"name":"pre-start","exec":[]}])"), "'exec' is missing or empty");
  says(aci_app(R"("eventHandlers":[{"name":"pre-start","exec":["/a"]},{"name":"pre-start","exec":["/b"]}])"),
       "'pre-start' occurs twice");
  says(aci_app(R"("workingDirectory":"opt")"), "at 'app.workingDirectory': 'opt' is not an absolute path");
  says(aci_app(R"("workingDirectory":"/a/../..")"), "contains '..'");
  for (const char* const name : {"", "1A", "A=B", "-A", ".A", "A B", "\\u00e9", "A\\u0000"})
    says(aci_app(mortise::concat(R"("environment":[{"name":")", name, R"(","value":"x"}])")), "at 'app.environment[0]");
  says(aci_app(R"("environment":[{"name":"A","value":"1"},{"name":"A","value":"2"}])"),
       "at 'app.environment': 'A' occurs twice");
  says(aci_app(R"("environment":[{"name":"A","value":"1\u00002"}])"),
       "at 'app.environment[0].value': it holds a zero byte");
  says(aci_app(R"("mountPoints":[{"name":"A","path":"/a"}])"), "at 'app.mountPoints[0].name': parse AC name");
  says(aci_app(R"("mountPoints":[{"name":"a"}])"), "'path' is missing");
  says(aci_app(R"("mountPoints":[{"name":"a","path":"/../etc"}])"), "contains '..'");
  says(aci_app(R"("mountPoints":[{"name":"a","path":"/a","readOnly":"yes"}])"), "at 'app.mountPoints[0].readOnly'");
  says(aci_app(R"("mountPoints":[{"name":"a","path":"/a"},{"name":"a","path":"/b"}])"),
       "at 'app.mountPoints': 'a' occurs twice");
  says(aci_app(R"("isolators":[{"name":"resource/cpu","value":{"limit":"x"}}])"), "at 'app.isolators[0].value.limit'");
  says(aci_app(R"("userLabels":{"a":1})"), "at 'app.userLabels': the value of 'a' must be a string");
}

TEST_CASE("appc manifest: ports lie within 1 and 65535") {
  const auto port = [](std::string_view rest) {
    return aci_app(mortise::concat(R"("ports":[{"name":"a","protocol":"tcp","port":)", rest, "}]"));
  };
  CHECK(good(port("1")));
  CHECK(good(port("65535")));
  CHECK(good(port(R"(1,"count":65535)")));
  says(port("0"), "at 'app.ports[0].port': 0 is not within 1 and 65535");
  says(port("65536"), "65536 is not within 1 and 65535");
  says(port("18446744073709551615"), "at 'app.ports[0].port'");
  says(port(R"(65535,"count":2)"), "2 is not within 1 and 1, where the ports end");
  says(port(R"(10,"count":0)"), "at 'app.ports[0].count': 0 is not within");
  says(port(R"(10,"count":9223372036854775807)"), "is not within");
  says(aci_app(R"("ports":[{"name":"a","port":1}])"), "'protocol' is missing");
}

TEST_CASE("appc manifest: hostile JSON is refused") {
  says(R"({"acKind":"ImageManifest","acKind":"ImageManifest","acVersion":"0.8.11","name":"a"})",
       "'acKind' occurs twice");
  says(aci_app(R"("user":"1")"), "the name 'user' occurs twice");
  const auto more = absl::StatusCode::kResourceExhausted;
  says(aci_manifest("\"x\":" + std::string(100, '[') + std::string(100, ']')), "nested deeper", more);
  says(std::string(9 << 20, ' '), "longer than", more);
  says(aci_manifest() + "x", "not JSON");
  says(aci_manifest("\"x\":\"\xff\""), "not JSON");
  says(aci_manifest().substr(0, 40), "not JSON");
  std::string flood = R"("dependencies":[{"imageName":"a"})";
  for (int at = 0; at < 256; ++at) flood += R"(,{"imageName":"a"})";
  says(aci_manifest(flood + ']'), "at 'dependencies': it has more than 256 elements");
}
