// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/location.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using mortise::message;
using mortise::image::appc::aci_file_location;
using mortise::image::appc::canonical_appc_location;
using mortise::image::appc::parse_appc_location;

namespace {

const std::string id = "sha512-" + std::string(128, 'a');

/// The canonical form, or what is wrong.
std::string spelled(const std::string& text) {
  const auto parsed = parse_appc_location(text);
  return parsed.ok() ? canonical_appc_location(*parsed) : std::string(message(parsed.status()));
}

}  // namespace

TEST_CASE("appc location: a name, a version, labels, an image ID") {
  CHECK(spelled("example.com/app") == "appc:example.com/app");
  CHECK(spelled("example.com/app:1.0.0") == "appc:example.com/app:1.0.0");
  CHECK(spelled("a,version=2,os=linux,arch=amd64") == "appc:a:2,arch=amd64,os=linux");
  CHECK(spelled("a:1:2/3@x,channel=b=c@" + id) == "appc:a:1:2/3@x,channel=b=c@" + id);
  const auto parsed = parse_appc_location("example.com/app:1.0,os=linux@" + id);
  REQUIRE(parsed.ok());
  CHECK(parsed->name == "example.com/app");
  CHECK(parsed->labels.text() == "version=1.0,os=linux");
  CHECK(parsed->id->text() == id);
  CHECK_FALSE(parsed->size);
  CHECK(parse_appc_location("a,channel=")->labels.find("channel") == "");
}

TEST_CASE("appc location: what is none is refused") {
  for (const std::string bad : {"", "A", "../a", "/a", "a:", "a,", "a,b", "a,B=1", "a,=1", "a,name=b", "a,os=beos",
                                "a,arch=amd64", "a:1,version=2", "a,b=1,b=1"})
    CHECK_MESSAGE(!parse_appc_location(bad).ok(), bad);
  CHECK_FALSE(parse_appc_location("a@sha512-abc").ok());
  CHECK(spelled("a:") ==
        "parse image location 'a:': its version is empty "
        "(write appc:NAME[:VERSION][,LABEL=VALUE]...[@sha512-ID])");
}

TEST_CASE("appc location: a file may have any name") {
  for (const std::string path : {"app.aci", "/srv/a:b,c@d/app-1.0-linux-amd64.aci", "@sha256-x"}) {
    CHECK(aci_file_location::parse(path)->path == path);
    CHECK(aci_file_location::parse(path + "@" + id)->path == path);
    CHECK(aci_file_location::parse(path + "@" + id)->id->text() == id);
  }
  for (const std::string& bad : {std::string(), "@" + id, std::string("a\0b", 3), std::string("a@sha512-12")})
    CHECK(aci_file_location::parse(bad).status().code() == absl::StatusCode::kInvalidArgument);
}
