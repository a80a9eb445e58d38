// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/artifact.hpp>

#include <doctest/doctest.h>

#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <mortise/image/oci_layout.hpp>
#include <string>
#include <vector>

namespace {

using store_type = mortise::image::store<support::remote_source, mortise::image::oci_layout>;

/// A layout with an artifact of two files and an empty configuration, tagged "a".
struct scene {
  support::temporary_directory place;
  std::string directory = place / "store";
  support::layout_builder layout{place / "oci"};
  support::remote_source source;
  store_type store = *store_type::open(directory, source, {});
  std::string first = layout.put("the first file");
  std::string second = layout.put(support::sample_text(100'000));
  std::string manifest;

  scene() {
    const std::string config = layout.put("{}");
    manifest = layout.put(support::manifest_text(
        support::descriptor("application/vnd.oci.empty.v1+json", config),
        {support::descriptor("text/plain", first, R"(,"annotations":{"org.opencontainers.image.title":"first.txt"})"),
         support::descriptor("application/octet-stream", second)},
        R"(,"artifactType":"application/vnd.example")"));
    layout.write_index({support::descriptor(mortise::image::media::oci_manifest, manifest, support::tagged("a"))});
  }
  std::string location(const char* scheme) const { return mortise::concat(scheme, layout.path(), ":a"); }
};

}  // namespace

TEST_CASE("artifact: its blobs become verified files, from near and far, and stay while they are held") {
  for (const char* const scheme : {"oci:", "remote:"}) {
    CAPTURE(scheme);
    scene here;
    {
      const auto found = here.store.fetch(here.location(scheme));
      REQUIRE_MESSAGE(found.ok(), std::string(mortise::message(found.status())));
      CHECK(found->digest.text() == support::sha256(here.manifest));
      CHECK(found->manifest.artifact_type == "application/vnd.example");
      REQUIRE(found->parts.size() == 2);
      CHECK(support::read_file(found->parts[0].path) == here.first);
      CHECK(support::read_file(found->parts[1].path) == here.second);
      CHECK(support::read_file(found->config.path) == "{}");
      CHECK(*mortise::model::find(found->parts[0].what.annotations, "org.opencontainers.image.title") == "first.txt");
      REQUIRE(here.store.remove(here.location(scheme)).ok());
      CHECK(here.store.collect()->gone.empty());
    }
    CHECK(here.store.collect()->gone.size() == 4);
    CHECK(here.store.fetch(here.location(scheme)).ok());
    CHECK(here.store.collect()->gone.empty());  // remembered
    CHECK(support::names_in(here.directory + "/staging").empty());
  }
}

TEST_CASE("artifact: cannot be run, and says so") {
  scene here;
  const auto image = here.store.provide<mortise::model::unprivileged_overlay_layers>(here.location("oci:"));
  CHECK(std::string(mortise::message(image.status())).find("it is an artifact, not an image that can be run") !=
        std::string::npos);
}

TEST_CASE("artifact: wrong and missing blobs fail, and are not kept") {
  for (const char* const scheme : {"oci:", "remote:"}) {
    CAPTURE(scheme);
    scene here;
    support::write_file(here.layout.blob_path(here.second), support::sample_text(99'999) + "x");
    const auto found = here.store.fetch(here.location(scheme));
    CHECK(absl::IsDataLoss(found.status()));
    CHECK(std::string(mortise::message(found.status())).find("fetch '" + here.location(scheme) + "': verify blob ") ==
          0);
    CHECK(::access((here.directory + "/blobs/" + support::sha256(here.second).replace(6, 1, "/")).c_str(), F_OK) != 0);
    CHECK(here.store.list()->empty());
  }
}

TEST_CASE("artifact: a blob that was damaged in the store is replaced") {
  scene here;
  REQUIRE(here.store.fetch(here.location("oci:")).ok());
  const std::string path = here.directory + "/blobs/" + support::sha256(here.first).replace(6, 1, "/");
  support::write_file(path, "the f1rst file");
  REQUIRE(here.store.fetch(here.location("oci:")).ok());
  CHECK(support::read_file(path) == here.first);
}

TEST_CASE("artifact: an image may be fetched without being unpacked, and is unpacked from there later") {
  scene here;
  const auto layer = support::gzip_layer(support::tar_builder().directory("./").file("file").text());
  here.layout.write_image({layer}, "a");
  REQUIRE(here.store.fetch(here.location("remote:")).ok());
  CHECK(support::names_in(here.directory + "/layers").empty());
  here.source.how->calls = 0;
  CHECK(here.store.provide<mortise::model::unprivileged_overlay_layers>(here.location("remote:")).ok());
  CHECK(here.source.how->calls.load() == 0);
}
