// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/enforce.hpp>

#include <doctest/doctest.h>

#include <image/appc/documents.hpp>
#include <mortise/model/capability.hpp>
#include <string>
#include <string_view>
#include <vector>

using mortise::message;
using mortise::image::appc::enforce;
using mortise::image::appc::enforcement;
using mortise::image::appc::runtime_abilities;
using support::aci_app;
using strings = std::vector<std::string>;

namespace {

constexpr std::uint64_t bit(std::string_view name) {
  return std::uint64_t{1} << mortise::model::capability_number(name).value();
}
const runtime_abilities can{.capabilities = bit("CAP_KILL") | bit("CAP_CHOWN") | bit("CAP_NET_RAW")};

absl::StatusOr<enforcement> enforced(const std::string& manifest) {
  mortise::model::image_config config;
  config.appc_manifest = manifest;
  return enforce(config, can);
}

std::string isolator(std::string_view name, std::string_view value) {
  return mortise::concat(R"({"name":")", name, R"(","value":)", value, '}');
}

/// An app with these isolators.
absl::StatusOr<enforcement> with(const strings& isolators) {
  return enforced(aci_app(mortise::concat(R"("isolators":[)", mortise::join(isolators, ","), ']')));
}

/// What is said of one isolator.
std::string said(std::string_view name, std::string_view value) {
  const auto out = with({isolator(name, value)});
  if (!out.ok()) return std::string(message(out.status()));
  CHECK(out->reports.size() == 1);
  return out->reports.at(0).text();
}

}  // namespace

TEST_CASE("enforce: memory and processors") {
  const auto limits =
      with({isolator("resource/memory", R"({"limit":"1Gi"})"), isolator("resource/cpu", R"({"limit":"1500m"})")});
  REQUIRE(limits.ok());
  CHECK(limits->memory->count == 1U << 30);
  CHECK_FALSE(limits->memory_reservation);
  CHECK(limits->cpus == 1.5);
  CHECK_FALSE(limits->cpu_shares);
  CHECK(limits->reports.at(0).text() == "resource/memory is enforced");
  CHECK(limits->reports.at(1).text() == "resource/cpu is enforced");
  const auto requests = with({isolator("resource/memory", R"({"request":"10M","limit":"20M"})"),
                              isolator("resource/cpu", R"({"request":"250m"})")});
  CHECK(requests->memory->count == 20'000'000);
  CHECK(requests->memory_reservation->count == 10'000'000);
  CHECK_FALSE(requests->cpus);
  CHECK(requests->cpu_shares == 256);
  CHECK(requests->reports.at(0).text().starts_with("resource/memory is adjusted: the request is spared"));
  CHECK(requests->reports.at(1).text().starts_with("resource/cpu is adjusted: the request is its share"));
  CHECK(with({isolator("resource/memory", R"({"limit":"1"})")})->memory->count == 1U << 20);
  CHECK(with({isolator("resource/cpu", R"({"limit":"1m"})")})->cpus == 0.01);
  CHECK(said("resource/cpu", R"({"limit":"1m"})").find("adjusted: the kernel counts no less") != std::string::npos);
  CHECK(said("os/linux/cpu-shares", "512") == "os/linux/cpu-shares is enforced");
  for (const bool first : {true, false}) {  // shares that are stated win over a request
    strings both = {isolator("os/linux/cpu-shares", "512"), isolator("resource/cpu", R"({"request":"4"})")};
    if (!first) std::swap(both[0], both[1]);
    CHECK(with(both)->cpu_shares == 512);
  }
  const auto twice = with({isolator("resource/memory", R"({"request":"1Mi","limit":"2Mi"})"),
                           isolator("resource/memory", R"({"limit":"4Mi"})")});
  CHECK(twice->memory->count == 4U << 20);
  CHECK_FALSE(twice->memory_reservation);
  CHECK(twice->reports.at(0).text() == "resource/memory is adjusted: a later one of its name decides");
  CHECK(twice->reports.at(1).text() == "resource/memory is enforced");
}

TEST_CASE("enforce: capabilities are taken away, and never given") {
  const auto kept = with({isolator("os/linux/capabilities-retain-set", R"({"set":["CAP_KILL"]})")});
  CHECK(kept->capabilities == bit("CAP_KILL"));
  CHECK(kept->reports.at(0).text() == "os/linux/capabilities-retain-set is enforced");
  const auto more =
      with({isolator("os/linux/capabilities-retain-set", R"({"set":["CAP_SYS_ADMIN","CAP_KILL","CAP_NEW"]})")});
  CHECK(more->capabilities == bit("CAP_KILL"));
  CHECK(more->reports.at(0).text() ==
        "os/linux/capabilities-retain-set is adjusted: an image is not given more than its caller grants: "
        "CAP_SYS_ADMIN, CAP_NEW");
  const auto removed = with({isolator("os/linux/capabilities-remove-set", R"({"set":["CAP_KILL","CAP_SYS_ADMIN"]})")});
  CHECK(removed->capabilities == (bit("CAP_CHOWN") | bit("CAP_NET_RAW")));
  CHECK(removed->reports.at(0).text() == "os/linux/capabilities-remove-set is enforced");
  CHECK_FALSE(with({})->capabilities);
}

TEST_CASE("enforce: what cannot be enforced is said to be ignored, whatever it is") {
  CHECK(said("os/linux/no-new-privileges", "true") == "os/linux/no-new-privileges is enforced");
  CHECK(said("os/linux/no-new-privileges", "false").starts_with("os/linux/no-new-privileges is adjusted: "));
  CHECK(said("os/linux/seccomp-retain-set", R"({"set":["@appc.io/all"]})").find("is enforced: it asks for no filter") !=
        std::string::npos);
  CHECK(
      said("os/linux/seccomp-remove-set", R"({"set":["@appc.io/empty"]})").find("is enforced: it asks for no filter") !=
      std::string::npos);
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>{"resource/block-bandwidth", R"({"default":true,"limit":"1M"})"},
        {"resource/block-iops", R"({"default":true,"limit":"1M"})"},
        {"resource/network-bandwidth", R"({"default":true,"limit":"1M"})"},
        {"os/linux/oom-score-adj", "-500"},
        {"os/linux/seccomp-retain-set", R"({"set":["read"]})"},
        {"os/linux/seccomp-remove-set", R"({"set":["@appc.io/all","ptrace"]})"},
        {"os/unix/sysctl", R"({"kernel.x":"1"})"},
        {"example.com/of-tomorrow", "[1]"}}) {
    CHECK(said(name, value).starts_with(name + " is ignored: "));
    CHECK(with({isolator(name, value)})->ignores_any());
  }
  CHECK_FALSE(with({isolator("os/linux/cpu-shares", "2")})->ignores_any());
  const auto rest =
      enforced(aci_app(R"("eventHandlers":[{"name":"pre-start","exec":["/a"]}],"supplementaryGIDs":[1])"));
  CHECK(rest->reports.at(0).text().starts_with("app/eventHandlers is ignored: "));
  CHECK(rest->reports.at(1).text().starts_with("app/supplementaryGIDs is ignored: "));
}

TEST_CASE("enforce: mandatory access control that is not there refuses the image") {
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>{"os/linux/selinux-context",
                                            R"({"user":"u","role":"r","type":"t","level":"s0"})"},
        {"os/linux/apparmor-profile", R"("docker-default")"}}) {
    const auto out = with({isolator("os/linux/cpu-shares", "2"), isolator(name, value)});
    CHECK(out.status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK(message(out.status()) == "enforce isolator '" + name + "': mandatory access control is not available");
  }
}

TEST_CASE("enforce: an image that is not Appc's, or has no app, asks for nothing") {
  CHECK(enforced("")->reports.empty());
  CHECK(enforced(support::aci_manifest())->reports.empty());
  CHECK(enforced("{}").status().code() == absl::StatusCode::kInvalidArgument);
}
