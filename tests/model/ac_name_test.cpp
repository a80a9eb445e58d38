// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/ac_name.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using mortise::message;
using mortise::model::ac_identifier;
using mortise::model::ac_image_id;
using mortise::model::ac_labels;
using mortise::model::ac_name;

namespace {

absl::StatusOr<ac_labels> labels(const std::vector<std::pair<std::string, std::string>>& from) {
  std::vector<ac_labels::value_type> all;
  all.reserve(from.size());
  for (const auto& [name, value] : from) all.emplace_back(ac_identifier::parse(name).value(), value);
  return ac_labels::make(std::move(all));
}

std::string fault(const std::vector<std::pair<std::string, std::string>>& from) {
  return std::string(message(labels(from).status()));
}

}  // namespace

TEST_CASE("ac_name: identifiers are words joined by one separator each") {
  for (const char* const good :
       {"a", "0", "example.com", "example.com/app", "a-b.c_d~e/f", "1.0", "example.com/a/b-1"}) {
    CAPTURE(good);
    REQUIRE(ac_identifier::parse(good).ok());
    CHECK(ac_identifier::parse(good)->text() == good);
  }
  for (const char* const bad : {"",   "A",   "a b", "-a", "a-",  "a--b",     "a..b", "../a", "a/../b", "a//b", "/a",
                                "a/", "a\n", ".",   "..", "a/.", "\xc3\xa9", "a:b",  "a@b",  "a%2fb",  "a\\b", "$a"}) {
    CAPTURE(bad);
    const auto parsed = ac_identifier::parse(bad);
    CHECK(parsed.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(message(parsed.status()).starts_with("parse AC identifier '"));
  }
  CHECK(!ac_identifier::parse(std::string_view("a\0b", 3)).ok());
  CHECK(ac_identifier::parse(std::string(512, 'a')).ok());
  CHECK(!ac_identifier::parse(std::string(513, 'a')).ok());
  CHECK(!ac_identifier::parse(std::string(10'000'000, 'a') + '-').ok());
}

TEST_CASE("ac_name: names know no separator but the hyphen") {
  for (const char* const good : {"a", "work", "a-b", "0-9-a"}) CHECK(ac_name::parse(good).ok());
  for (const char* const bad : {"", "a.b", "a/b", "a_b", "-a", "a-", "a--b", "A", " "}) {
    CAPTURE(bad);
    CHECK(!ac_name::parse(bad).ok());
  }
}

TEST_CASE("ac_name: image IDs are whole SHA-512 digests") {
  const std::string hex(128, 'a');
  const auto id = ac_image_id::parse("sha512-" + hex);
  REQUIRE(id.ok());
  CHECK(id->text() == "sha512-" + hex);
  CHECK(id->digest().text() == "sha512:" + hex);
  for (const std::string& bad : {hex, "sha512:" + hex, "sha256-" + hex.substr(64), "sha512-" + hex.substr(1),
                                 "sha512-" + hex + 'a', "sha512-" + std::string(128, 'A'), std::string("sha512-")}) {
    CAPTURE(bad);
    CHECK(message(ac_image_id::parse(bad).status()).starts_with("parse image ID '"));
  }
}

TEST_CASE("ac_name: labels match where all that is asked for is equal") {
  const auto image = labels({{"version", "1.0"}, {"os", "linux"}, {"arch", "amd64"}, {"channel", "beta"}});
  REQUIRE(image.ok());
  CHECK(image->find("version") == "1.0");
  CHECK(!image->find("x"));
  CHECK(image->match(ac_labels()));
  CHECK(image->match(*labels({{"channel", "beta"}, {"version", "1.0"}})));
  CHECK(!image->match(*labels({{"version", "1.1"}})));
  CHECK(!image->match(*labels({{"other", ""}})));
  CHECK(image->text() == "version=1.0,os=linux,arch=amd64,channel=beta");
}

TEST_CASE("ac_name: labels that contradict the specification are refused") {
  CHECK(fault({{"name", "x"}}) == "check labels: none may be called 'name'");
  CHECK(fault({{"a", "1"}, {"a", "2"}}) == "check labels: 'a' occurs twice");
  CHECK(fault({{"arch", "amd64"}}) == "check labels: 'arch' stands without 'os'");
  CHECK(fault({{"os", "plan9"}}).find("'plan9' is not one of linux") != std::string::npos);
  CHECK(fault({{"os", "linux"}, {"arch", "x86_64"}}).find("'x86_64' is not one of linux's: amd64") !=
        std::string::npos);
  CHECK(fault({{"os", "darwin"}, {"arch", "amd64"}}).find("'amd64'") != std::string::npos);
  CHECK(fault({{"a", std::string("1\0", 2)}}) == "check labels: 'a' holds a zero byte");
  CHECK(labels({{"os", "linux"}, {"arch", "aarch64_be"}}).ok());
  CHECK(labels({{"os", "freebsd"}}).ok());
  std::vector<std::pair<std::string, std::string>> many;
  for (int at = 0; at < 257; ++at) many.emplace_back("l" + std::to_string(at), "");
  CHECK(fault(many) == "check labels: there are more than 256");
}
