// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/image_directory.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <image/store_fixture.hpp>
#include <mortise/image/store.hpp>
#include <string>
#include <string_view>
#include <support/skip.hpp>

namespace {

using store_type = mortise::image::store<mortise::image::image_directory>;
using mortise::model::unprivileged_overlay_layers;

bool has(const absl::Status& status, std::string_view part) {
  const std::string said(mortise::message(status));
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

/// An image as such a directory, written by hand.
struct scene {
  support::temporary_directory place;
  std::string path = place / "dir";
  support::test_layer layer = support::gzip_layer(support::tar_builder().directory("./").file("file").text());
  store_type store = *store_type::open(place / "store");

  scene() {
    ::mkdir(path.c_str(), 0755);
    const std::string config = support::config_text({layer});
    put(config);
    put(layer.blob);
    support::write_file(path + "/version", "Directory Transport Version: 1.1\n");
    support::write_file(path + "/manifest.json",
                        support::manifest_text(support::descriptor(mortise::image::media::oci_config, config),
                                               {support::descriptor(layer.type, layer.blob)}));
  }
  void put(const std::string& content) const {
    support::write_file(path + "/" + support::sha256(content).substr(7), content);
  }
  absl::StatusOr<mortise::model::image> provide() { return store.provide<unprivileged_overlay_layers>("dir:" + path); }
};

}  // namespace

TEST_CASE("image_directory: what skopeo writes is read") {
  if (support::missing_program("skopeo")) return;
  support::store_fixture here;
  here.layout.write_image({support::gzip_layer(support::tar_builder().directory("./").file("file", "hello").text())});
  const std::string copy = mortise::concat("skopeo copy -q --insecure-policy oci:", here.layout.path(),
                                           ":latest dir:", here.place / "dir", " >/dev/null 2>&1");
  REQUIRE(std::system(copy.c_str()) == 0);
  auto store = store_type::open(here.place / "dir-store");
  REQUIRE(store.ok());
  const auto image = store->provide<unprivileged_overlay_layers>("dir:" + (here.place / "dir"));
  REQUIRE_MESSAGE(image.ok(), std::string(mortise::message(image.status())));
  CHECK(support::read_file(image->layers.front().directory + "/file") == "hello");
}

TEST_CASE("image_directory: every file is verified, and what is missing is named") {
  {
    scene here;
    CHECK(here.provide().ok());
  }
  {
    scene here;
    support::write_file(here.path + "/" + support::sha256(here.layer.blob).substr(7), here.layer.blob + "x");
    CHECK(absl::IsDataLoss(here.provide().status()));
  }
  {
    scene here;
    ::unlink((here.path + "/" + support::sha256(here.layer.blob).substr(7)).c_str());
    CHECK(absl::IsNotFound(here.provide().status()));
  }
  {
    scene here;
    ::unlink((here.path + "/manifest.json").c_str());
    CHECK(has(here.provide().status(), "open image directory '" + here.path + "': open 'manifest.json': No such file"));
  }
  {
    scene here;
    ::unlink((here.path + "/manifest.json").c_str());
    REQUIRE(::mkfifo((here.path + "/manifest.json").c_str(), 0600) == 0);
    CHECK(has(here.provide().status(), "it is not a regular file"));
  }
}

TEST_CASE("image_directory: locations") {
  const mortise::image::image_directory source;
  CHECK(source.accepts("dir:/x"));
  CHECK_FALSE(source.accepts("directory:/x"));
  CHECK(source.canonical("dir:/x/y") == "dir:/x/y");
  CHECK(source.canonical("dir:x").ends_with("/x"));
  CHECK(has(source.open("dir:", "/").status(), "there is no path (write dir:PATH)"));
  CHECK(has(source.open("dir:/nowhere", "/").status(), "open '/nowhere': No such file"));
  CHECK(has(source.open("dir:/etc/passwd", "/").status(), "Not a directory"));
}
