// SPDX-License-Identifier: Apache-2.0
// The specification's own tool agrees with us on what is an image: built once from Debian's source packages.
#include <mortise/image/appc/aci.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>

#include <fstream>
#include <image/appc/aci_scene.hpp>
#include <image/appc/actool.hpp>
#include <image/appc/documents.hpp>
#include <mortise/image/appc.hpp>
#include <mortise/image/file_section.hpp>
#include <string>
#include <support/temporary.hpp>

using mortise::message;
using support::aci_app;
using support::aci_isolator;
using support::aci_manifest;
using support::actool;

TEST_CASE("actool: its validator and ours agree on manifests") {
  const std::string tool = actool();
  if (tool.empty()) return;
  const support::temporary_directory place;
  const auto agree = [&](const std::string& text, bool good) {
    std::ofstream(place / "manifest.json") << text;
    CAPTURE(text);
    CHECK(support::run_quietly(tool + " validate -type manifest " + (place / "manifest.json")) == good);
    CHECK(mortise::image::appc::parse_image_manifest(text, "it").ok() == good);
  };
  for (
      const std::string& good : {
          aci_manifest(),
          aci_manifest("", "a"),
          aci_app(),
          aci_app(R"("exec":["/bin/sh"],"workingDirectory":"/w")"),
          aci_app(R"("eventHandlers":[{"name":"pre-start","exec":["/a"]},{"name":"post-stop","exec":["/b"]}])"),
          aci_app(R"("environment":[{"name":"A.b-c_1","value":"x"}])"),
          aci_app(
              R"("ports":[{"name":"a","protocol":"tcp","port":65535},{"name":"b","protocol":"udp","port":1,"count":65535}])"),
          aci_app(R"("mountPoints":[{"name":"a","path":"/a","readOnly":true}])"),
          aci_isolator("resource/cpu", R"({"request":"250m","limit":"2"})"),
          aci_isolator("resource/memory", R"({"limit":"1Gi"})"),
          aci_isolator("resource/block-iops", R"({"default":true,"limit":"2M"})"),
          aci_isolator("os/linux/oom-score-adj", "-1000"),
          aci_isolator("os/linux/cpu-shares", "2"),
          aci_isolator("os/linux/no-new-privileges", "true"),
          aci_isolator("os/linux/capabilities-retain-set", R"({"set":["CAP_KILL"]})"),
          aci_isolator("os/linux/seccomp-retain-set", R"({"set":["@appc.io/all"],"errno":"EPERM"})"),
          aci_manifest(R"("labels":[{"name":"os","value":"linux"},{"name":"arch","value":"armv7b"}])"),
          aci_manifest(R"("dependencies":[{"imageName":"a/b","size":1,"labels":[]}],"pathWhitelist":["/a"])"),
          aci_manifest(R"("annotations":[{"name":"created","value":"2026-01-31T23:59:59.5+01:00"}])"),
      })
    agree(good, true);
  for (const std::string& bad : {
           std::string("{}"),
           std::string("x"),
           aci_manifest("", ""),
           aci_manifest("", "A"),
           aci_manifest("", "-a"),
           aci_manifest(R"("app":{"user":"0"})"),
           aci_manifest(R"("app":{"group":"0"})"),
           aci_app(R"("workingDirectory":"w")"),
           aci_app(R"("exec":"sh")"),
           aci_app(R"("eventHandlers":[{"name":"x","exec":["/a"]}])"),
           aci_app(R"("environment":[{"name":"1","value":"x"}])"),
           aci_app(R"("environment":[{"name":"A","value":"x"},{"name":"A","value":"x"}])"),
           aci_app(R"("ports":[{"name":"a","protocol":"tcp","port":0}])"),
           aci_app(R"("ports":[{"name":"a","protocol":"tcp","port":65535,"count":2}])"),
           aci_app(R"("mountPoints":[{"name":"a.b","path":"/a"}])"),
           aci_isolator("resource/cpu", R"({"limit":"x"})"),
           aci_isolator("resource/cpu", R"({"default":true,"limit":"1"})"),
           aci_isolator("resource/block-iops", R"({"limit":"1"})"),
           aci_isolator("os/linux/oom-score-adj", "1001"),
           aci_isolator("os/linux/cpu-shares", "1"),
           aci_isolator("os/linux/capabilities-remove-set", R"({"set":[]})"),
           aci_isolator("os/linux/seccomp-remove-set", R"({"set":["a"],"errno":"perm"})"),
           aci_manifest(R"("labels":[{"name":"name","value":"x"}])"),
           aci_manifest(R"("labels":[{"name":"os","value":"linux"},{"name":"arch","value":"x86_64"}])"),
           aci_manifest(R"("labels":[{"name":"a","value":"1"},{"name":"a","value":"1"}])"),
           aci_manifest(R"("dependencies":[{"imageName":""}])"),
           aci_manifest(R"("annotations":[{"name":"created","value":"today"}])"),
           aci_manifest(R"("annotations":[{"name":"homepage","value":"ftp://x"}])"),
       })
    agree(bad, false);
}

TEST_CASE("actool: an image that it builds is read") {
  const std::string tool = actool();
  if (tool.empty()) return;
  const support::temporary_directory place;
  REQUIRE(support::run_quietly("mkdir -p " + (place / "l/rootfs/bin") + " && echo x > " + (place / "l/rootfs/bin/x") +
                               " && ln -s x " + (place / "l/rootfs/bin/y")));
  std::ofstream(place / "l/manifest") << aci_app();
  REQUIRE(support::run_quietly(tool + " build " + (place / "l") + ' ' + (place / "a.aci")));
  auto file = mortise::image::open_file(AT_FDCWD, place / "a.aci");
  REQUIRE(file.ok());
  mortise::image::section_reader source(*std::move(file));
  const auto image = mortise::image::appc::read_aci(source, {"a.aci", {}});
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  CHECK(image->manifest.app.has_value());
  CHECK(support::run_quietly("test \"$(gunzip -c " + (place / "a.aci") +
                             " | sha512sum | cut -c1-128)\" = " + std::string(image->id.digest().hex())));
}

TEST_CASE("actool: images that it builds are unpacked to what they were built from, however they are packed") {
  const std::string tool = actool();
  if (tool.empty() || support::missing_root()) return;
  for (const char* const each : {"xz", "bzip2", "gunzip"})
    if (support::missing_program(each)) return;
  const support::temporary_directory place;
  const std::string rootfs = place / "l/rootfs";
  REQUIRE(support::run_quietly("mkdir -p " + rootfs + "/usr/bin && cd " + rootfs +
                               " && echo x > usr/bin/x && ln usr/bin/x hard && ln -s usr/bin bin && mkfifo pipe" +
                               " && chmod 4711 usr/bin/x && chmod 1777 usr && chown 12:34 pipe && touch .wh.x" +
                               " && truncate -s 1M sparse && mkdir -m 700 empty"));
  std::ofstream(place / "l/manifest") << aci_app();
  REQUIRE(
      support::run_quietly(tool + " build " + (place / "l") + ' ' + (place / "gz.aci") + " && cd " + place.path() +
                           " && gunzip -c gz.aci >plain.aci && xz -c plain.aci >xz.aci && bzip2 -c plain.aci >bz.aci"));
  for (const char* const name : {"gz.aci", "plain.aci", "xz.aci", "bz.aci"}) {
    CHECK(support::run_quietly(tool + " validate " + (place / name)));
    const auto from = mortise::image::appc_files().open("aci:" + (place / name), place.path());
    REQUIRE(from.ok());
    const support::provided_image image(**from);
    REQUIRE_MESSAGE(image.status.ok(), image.said());
    CHECK(support::tree(rootfs).paths() == image.layers.top().paths());
    CHECK(image.layers.top()["bin"].ends_with("-> usr/bin"));
    CHECK(image.layers.top().about("hard").st_nlink == 2);
    CHECK(image.layers.top()["usr/bin/x"].starts_with("file 4711"));
  }
}

TEST_CASE("actool: its validator and ours agree on images") {
  const std::string tool = actool();
  if (tool.empty()) return;
  const support::temporary_directory place;
  const auto agree = [&](const support::tar_builder& tar, bool good) {
    std::ofstream(place / "a.aci", std::ios::binary) << tar.text();
    CHECK(support::run_quietly(tool + " validate -type appimage " + (place / "a.aci")) == good);
    const auto from = mortise::image::appc_files().open("aci:" + (place / "a.aci"), place.path());
    REQUIRE(from.ok());
    CHECK((*from)->roots().ok() == good);
  };
  const auto sound = [] { return support::tar_builder().file("manifest", aci_app()).directory("rootfs"); };
  agree(sound(), true);
  agree(sound().file("rootfs/a").symlink("rootfs/b", "/a"), true);
  agree(support::tar_builder().file("manifest", aci_app()), false);
  agree(support::tar_builder().directory("rootfs"), false);
  agree(sound().file("other"), false);
  agree(support::tar_builder().file("manifest", "{}").directory("rootfs"), false);
}
