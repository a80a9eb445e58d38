// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/location.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::image::absolute_location;
using mortise::image::after_scheme;
using mortise::image::file_location;

TEST_CASE("location: a path, a name and a digest") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  const auto parse = [](const std::string& text) { return file_location::parse(text, "oci:PATH[:TAG]"); };
  CHECK(parse("dir")->path == "dir");
  CHECK(parse("dir")->name.empty());
  CHECK(parse("/a/b:v1")->path == "/a/b");
  CHECK(parse("/a/b:v1")->name == "v1");
  CHECK(parse("dir:docker.io/library/busybox:1")->name == "docker.io/library/busybox:1");
  CHECK(parse("dir@" + digest)->digest->text() == digest);
  CHECK(parse("dir@" + digest)->path == "dir");
  CHECK(parse("dir:v1@" + digest)->name == "v1");
  CHECK(parse("user@host")->path == "user@host");
  for (const std::string& bad : {std::string(), std::string(":v1"), std::string("dir:"), std::string("a\0b", 3)}) {
    CAPTURE(bad);
    CHECK(mortise::message(parse(bad).status()).find("write oci:PATH[:TAG]") != std::string_view::npos);
  }
}

TEST_CASE("location: a scheme ends at its colon") {
  CHECK(after_scheme("oci:dir", "oci") == "dir");
  CHECK_FALSE(after_scheme("oci-archive:dir", "oci").has_value());
  CHECK_FALSE(after_scheme("oci", "oci").has_value());
}

TEST_CASE("location: relative paths begin at the working directory") {
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), &::free);
  CHECK(absolute_location("oci:/dir:tag") == "oci:/dir:tag");
  CHECK(absolute_location("oci:dir:tag") == "oci:" + std::string(here.get()) + "/dir:tag");
  CHECK(absolute_location("oci:./dir") == absolute_location("oci:dir"));
}
