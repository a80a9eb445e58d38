// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/oci_layout.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <image/layout_builder.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::oci_layout;
namespace media = mortise::image::media;

namespace {

const mortise::model::platform amd64{"linux", "amd64", "", {}};

std::string author(const std::string& location) {
  const auto opened = oci_layout{}.open(location, "/tmp");
  if (!opened.ok()) return std::string(message(opened.status()));
  const auto image = mortise::image::resolve(**opened, amd64);
  return image.ok() ? image->config.parsed.author : std::string(message(image.status()));
}

bool says(const std::string& location, std::string_view part) {
  const std::string said = author(location);
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

std::string by(std::string_view who) { return mortise::concat(R"(,"author":")", who, '"'); }

struct two_images {
  two_images() {
    one = layout.put_image({support::plain_layer("1")}, by("one"));
    two = layout.put_image({support::plain_layer("2")}, by("two"));
    layout.write_index(
        {support::descriptor(media::oci_manifest, one, support::tagged("one")),
         support::descriptor(
             media::oci_manifest, two,
             R"(,"annotations":{"org.opencontainers.image.ref.name":"v2","io.containerd.image.name":"example.com/a:v2"})")});
  }
  support::temporary_directory place;
  support::layout_builder layout{place / "oci"};
  std::string one, two;
};

}  // namespace

TEST_CASE("oci_layout: locations") {
  CHECK(oci_layout{}.accepts("oci:x"));
  CHECK(oci_layout{}.accepts("oci-archive:x:y"));
  CHECK_FALSE(oci_layout{}.accepts("ocix:x"));
  CHECK_FALSE(oci_layout{}.accepts("busybox"));
  CHECK(oci_layout{}.canonical("oci:/x:y") == "oci:/x:y");
}

TEST_CASE("oci_layout: an image is chosen by tag, full name or digest") {
  const two_images there;
  const std::string at = "oci:" + there.layout.path();
  CHECK(author(at + ":one") == "one");
  CHECK(author(at + ":v2") == "two");
  CHECK(author(at + ":example.com/a:v2") == "two");
  CHECK(author(at + '@' + support::sha256(there.two)) == "two");
  CHECK(says(at + ":three", "it holds no tag 'three' (its tags: one, v2)"));
  CHECK(says(at, "it holds 2 (name one of the tags: one, v2)"));
  CHECK(says(at + '@' + support::sha256("x"), "no image with the digest " + support::sha256("x")));
}

TEST_CASE("oci_layout: an archive of it is the same, plain or compressed") {
  const two_images there;
  const std::string tar = there.place / "a.tar";
  REQUIRE(
      std::system(("tar -C " + there.layout.path() + " -cf " + tar + " blobs index.json oci-layout && gzip -k " + tar)
                      .c_str()) == 0);
  CHECK(author("oci:" + tar + ":one") == "one");
  CHECK(author("oci-archive:" + tar + ".gz:v2") == "two");
}

TEST_CASE("oci_layout: entries without names are one image for several platforms") {
  const support::temporary_directory place;
  support::layout_builder layout(place / "oci");
  const std::string arm = layout.put_image({support::plain_layer("1")}, by("arm"), "arm64");
  const std::string amd = layout.put_image({support::plain_layer("2")}, by("amd"), "amd64");
  layout.write_index({support::descriptor(media::oci_manifest, arm, support::for_platform("linux", "arm64")),
                      support::descriptor(media::oci_manifest, amd, support::for_platform("linux", "amd64"))});
  CHECK(author("oci:" + layout.path()) == "amd");
  layout.write_index({});
  CHECK(says("oci:" + layout.path(), "it holds no image (nor any tag)"));
}

TEST_CASE("oci_layout: what is no layout is refused with what it lacks") {
  const support::temporary_directory place;
  CHECK(says("oci:" + place.path() + "/none", "No such file"));
  CHECK(says("oci:" + place.path(),
             "open image layout '" + place.path() + "': read '" + place.path() + "': open 'oci-layout': No such file"));
  support::layout_builder layout(place / "oci");
  CHECK(says("oci:" + layout.path(), "open 'index.json': No such file"));
  support::write_file(layout.path() + "/index.json", R"({"schemaVersion":2,"manifests":[],"manifests":[]})");
  CHECK(says("oci:" + layout.path(), "parse index.json of '" + layout.path() + "': the name 'manifests' occurs twice"));
  support::write_file(layout.path() + "/oci-layout", R"({"imageLayoutVersion":"9"})");
  CHECK(says("oci:" + layout.path(), "layout version '9' is not supported"));
  CHECK(says("oci:", "write oci:PATH[:TAG]"));
}

TEST_CASE("oci_layout: a blob that is no file is refused, and does not block") {
  two_images there;
  const std::string path = there.layout.blob_path(there.one);
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(says("oci:" + there.layout.path() + ":one", "No such file"));
  REQUIRE(::mkfifo(path.c_str(), 0644) == 0);
  CHECK(says("oci:" + there.layout.path() + ":one", "it is not a regular file"));
}
