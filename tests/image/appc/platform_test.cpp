// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/platform.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using mortise::image::appc::architecture_label;
using mortise::image::appc::platform_of;
using mortise::image::appc::with_platform;
using mortise::model::ac_identifier;
using mortise::model::ac_labels;
using mortise::model::parse_platform;

namespace {

ac_labels labels(std::vector<std::pair<std::string, std::string>> all) {
  std::vector<ac_labels::value_type> out;
  for (auto& [name, value] : all) out.emplace_back(ac_identifier::parse(name).value(), value);
  return ac_labels::make(std::move(out)).value();
}

}  // namespace

TEST_CASE("appc platform: every architecture of Linux, there and back") {
  for (const auto& [arch, platform] : {std::pair<std::string, std::string>{"amd64", "linux/amd64"},
                                       {"i386", "linux/386"},
                                       {"aarch64", "linux/arm64"},
                                       {"aarch64_be", "linux/arm64be"},
                                       {"armv6l", "linux/arm/v6"},
                                       {"armv7l", "linux/arm/v7"},
                                       {"armv7b", "linux/armbe"},
                                       {"ppc64", "linux/ppc64"},
                                       {"ppc64le", "linux/ppc64le"},
                                       {"s390x", "linux/s390x"}}) {
    CAPTURE(arch);
    const auto found = platform_of(labels({{"os", "linux"}, {"arch", arch}}));
    CHECK(found.text() == platform);
    CHECK(architecture_label(found) == arch);
  }
  CHECK(platform_of(labels({{"os", "darwin"}, {"arch", "x86_64"}})).text() == "darwin/amd64");
  CHECK_FALSE(architecture_label(parse_platform("linux/riscv64").value()));
  CHECK(architecture_label(parse_platform("linux/amd64/v3").value()) == "amd64");
  CHECK(architecture_label(parse_platform("linux/arm64/v8").value()) == "aarch64");
}

TEST_CASE("appc platform: an image that does not say what it is for is for anything") {
  CHECK(platform_of(labels({})).text() == "unknown/unknown");
  CHECK(mortise::model::rank(parse_platform("linux/s390x").value(), platform_of(labels({}))).has_value());
  CHECK(platform_of(labels({{"os", "linux"}})).text() == "linux/unknown");
}

TEST_CASE("appc platform: what is not stated is the platform's") {
  const auto host = parse_platform("linux/arm64").value();
  CHECK(with_platform(labels({{"version", "1"}}), host).text() == "version=1,os=linux,arch=aarch64");
  CHECK(with_platform(labels({{"os", "linux"}, {"arch", "i386"}}), host).text() == "os=linux,arch=i386");
  CHECK(with_platform(labels({{"os", "linux"}}), host).text() == "os=linux,arch=aarch64");
  CHECK(with_platform(labels({{"os", "darwin"}}), host).text() == "os=darwin");
  CHECK(with_platform(labels({}), parse_platform("linux/riscv64").value()).text() == "os=linux");
  CHECK(with_platform(labels({}), parse_platform("plan9/amd64").value()).empty());
}
