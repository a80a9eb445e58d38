// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/platform.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

using mortise::model::host_platform;
using mortise::model::parse_platform;
using mortise::model::platform;

namespace {

platform of(std::string_view text) {
  const auto parsed = parse_platform(text);
  CAPTURE(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

std::optional<unsigned> rank(std::string_view wanted, std::string_view offered) {
  return mortise::model::rank(of(wanted), of(offered));
}

/// Offered platforms from the best for `wanted` to the worst must come in this order.
void check_order(std::string_view wanted, const std::vector<std::string>& offered) {
  std::optional<unsigned> last;
  for (const std::string& each : offered) {
    const auto here = rank(wanted, each);
    CAPTURE(each);
    REQUIRE(here.has_value());
    if (last) CHECK(*here > *last);
    last = here;
  }
}

}  // namespace

TEST_CASE("platform: platforms have one spelling") {
  CHECK(of("linux/x86_64").text() == "linux/amd64");
  CHECK(of("x86-64").text() == "linux/amd64");
  CHECK(of("linux/amd64/v1").text() == "linux/amd64");
  CHECK(of("linux/aarch64").text() == "linux/arm64");
  CHECK(of("linux/arm64/8").text() == "linux/arm64");
  CHECK(of("linux/arm64/v8.0").text() == "linux/arm64");
  CHECK(of("linux/armhf").text() == "linux/arm/v7");
  CHECK(of("linux/armel").text() == "linux/arm/v6");
  CHECK(of("linux/arm").text() == "linux/arm/v7");
  CHECK(of("linux/i386").text() == "linux/386");
  CHECK(of("macOS/ARM64").text() == "darwin/arm64");
  CHECK(platform{}.text() == "unknown/unknown");
}

TEST_CASE("platform: what is no platform is refused with the form it should have") {
  for (const char* const bad : {"", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux/amd64/v1\n"}) {
    CAPTURE(bad);
    const auto parsed = parse_platform(bad);
    REQUIRE_FALSE(parsed.ok());
    CHECK(mortise::message(parsed.status()).find("linux/arm/v7") != std::string_view::npos);
  }
}

TEST_CASE("platform: amd64 runs its level, the levels below, then 386") {
  check_order("linux/amd64/v3", {"linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"});
  CHECK_FALSE(rank("linux/amd64/v3", "linux/amd64/v4").has_value());
  CHECK_FALSE(rank("linux/amd64", "linux/amd64/v2").has_value());
  CHECK_FALSE(rank("linux/amd64", "linux/arm64").has_value());
  CHECK_FALSE(rank("linux/386", "linux/amd64").has_value());
}

TEST_CASE("platform: arm64 runs its own versions, then 32-bit ARM") {
  check_order("linux/arm64/v9.1", {"linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6", "linux/arm64/v8.5",
                                   "linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"});
  CHECK_FALSE(rank("linux/arm64", "linux/arm64/v8.1").has_value());
  CHECK_FALSE(rank("linux/arm64/v9.1", "linux/arm64/v8.7").has_value());
  CHECK_FALSE(rank("linux/arm64", "linux/arm/v9").has_value());
}

TEST_CASE("platform: arm runs its version and those below") {
  check_order("linux/arm/v7", {"linux/arm/v7", "linux/arm/v6", "linux/arm/v5"});
  CHECK_FALSE(rank("linux/arm/v6", "linux/arm/v7").has_value());
  CHECK_FALSE(rank("linux/arm/v7", "linux/arm64").has_value());
}

TEST_CASE("platform: other architectures run exactly themselves") {
  CHECK(rank("linux/riscv64", "linux/riscv64") == 0U);
  CHECK_FALSE(rank("linux/ppc64le", "linux/s390x").has_value());
  CHECK_FALSE(rank("linux/amd64", "windows/amd64").has_value());
}

TEST_CASE("platform: an image that does not say comes last, one with unknown features not at all") {
  const platform host = of("linux/amd64");
  CHECK(mortise::model::rank(host, platform{}) > mortise::model::rank(host, of("linux/386")));
  platform special = host;
  special.os_features = {"win32k"};
  CHECK_FALSE(mortise::model::rank(host, special).has_value());
}

TEST_CASE("platform: the host can run what is built for it") {
  const platform host = host_platform();
  CHECK(host.os == "linux");
  CHECK_FALSE(host.architecture.empty());
  CHECK(mortise::model::rank(host, host) == 0U);
  CHECK(mortise::model::normalized(host) == host);
}
