// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/isolator.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

using mortise::message;
using namespace mortise::image::appc;
namespace json = mortise::image::json;

namespace {

absl::StatusOr<std::vector<isolator>> read(std::string_view list) {
  MORTISE_ASSIGN_OR_RETURN(const auto document,
                           json::document::parse(mortise::concat(R"({"isolators":)", list, '}'), "it"));
  return read_isolators(document.root());
}

/// The only isolator of a list, or a default one where the list is refused.
template <class Value>
Value only(std::string_view name, std::string_view value) {
  const auto list = read(mortise::concat(R"([{"name":")", name, R"(","value":)", value, "}]"));
  REQUIRE_MESSAGE(list.ok(), message(list.status()));
  REQUIRE(list->size() == 1);
  CHECK(list->front().name == name);
  REQUIRE(std::holds_alternative<Value>(list->front().value));
  return std::get<Value>(list->front().value);
}

bool refused(std::string_view name, std::string_view value, std::string_view part) {
  const auto list = read(mortise::concat(R"([{"name":")", name, R"(","value":)", value, "}]"));
  const std::string said(message(list.status()));
  CAPTURE(name);
  CAPTURE(value);
  CAPTURE(said);
  return list.status().code() == absl::StatusCode::kInvalidArgument && said.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("isolator: quantities have decimal and binary units, and thousandths") {
  CHECK(parse_quantity("0") == quantity{0, 0});
  CHECK(parse_quantity("1500m") == quantity{1, 500});
  CHECK(parse_quantity("30") == quantity{30, 0});
  CHECK(parse_quantity("2k") == quantity{2000, 0});
  CHECK(parse_quantity("2K") == quantity{2000, 0});
  CHECK(parse_quantity("2Ki") == quantity{2048, 0});
  CHECK(parse_quantity("1G") == quantity{1'000'000'000, 0});
  CHECK(parse_quantity("1Gi") == quantity{1U << 30, 0});
  CHECK(parse_quantity("7Ei") == quantity{7ULL << 60, 0});
  CHECK(parse_quantity("9223372036854775807") == quantity{9223372036854775807ULL, 0});
  for (const char* const bad : {"", "m", "-1", "+1", "1.5", " 1", "1 ", "1X", "1ki", "1mi", "1Gib", "8Ei", "10E", "1e3",
                                "0x1", "9223372036854775808", "99999999999999999999", "1Kii"}) {
    CAPTURE(bad);
    CHECK(!parse_quantity(bad));
  }
}

TEST_CASE("isolator: every known kind is read") {
  const auto cpu = only<resource_bounds>("resource/cpu", R"({"request":"250m","limit":"2"})");
  CHECK(cpu.request == quantity{0, 250});
  CHECK(cpu.limit == quantity{2, 0});
  const auto memory = only<resource_bounds>("resource/memory", R"({"limit":"1Gi"})");
  CHECK(memory.request == memory.limit);
  CHECK(only<resource_bounds>("resource/memory", R"({"limit":1024})").limit == quantity{1024, 0});
  for (const char* const name : {"resource/block-bandwidth", "resource/block-iops", "resource/network-bandwidth"}) {
    const auto bounds = only<resource_bounds>(name, R"({"default":true,"limit":"2M"})");
    CHECK(bounds.is_default);
    CHECK(!bounds.request);
  }
  CHECK(only<capability_set>("os/linux/capabilities-retain-set", R"({"set":["CAP_KILL","CAP_CHOWN"]})").names.size() ==
        2);
  CHECK(only<capability_set>("os/linux/capabilities-remove-set", R"({"set":["CAP_KILL"]})").names.front() ==
        "CAP_KILL");
  const auto calls =
      only<seccomp_set>("os/linux/seccomp-remove-set", R"({"set":["reboot","@appc.io/empty"],"errno":"EPERM"})");
  CHECK(calls.names == std::vector<std::string>{"reboot", "@appc.io/empty"});
  CHECK(calls.errno_name == "EPERM");
  CHECK(only<seccomp_set>("os/linux/seccomp-retain-set", R"({"set":["@appc.io/all"]})").errno_name.empty());
  CHECK(only<no_new_privileges>("os/linux/no-new-privileges", "true").on);
  CHECK(only<oom_score_adj>("os/linux/oom-score-adj", "-1000").value == -1000);
  CHECK(only<oom_score_adj>("os/linux/oom-score-adj", "1000").value == 1000);
  CHECK(only<cpu_shares>("os/linux/cpu-shares", "262144").value == 262144);
  CHECK(only<selinux_context>("os/linux/selinux-context", R"({"user":"u","role":"r","type":"t","level":"s0:c1"})")
            .level == "s0:c1");
  CHECK(only<sysctl_values>("os/unix/sysctl", R"({"net.core.somaxconn":"64"})").values.front().second == "64");
}

TEST_CASE("isolator: unknown ones are kept by name, whatever their value") {
  for (const char* const value : {R"("x")", "null", "[]", R"({"set":7})"})
    only<unknown_isolator>("os/linux/apparmor-profile", value);
  const auto list = read(
      R"([{"name":"example.com/x"},{"name":"resource/cpu","value":{"limit":"1"}},{"name":"example.com/x","value":1}])");
  REQUIRE(list.ok());
  CHECK(list->size() == 3);
  CHECK(has_isolator(*list, "example.com/x"));
  CHECK(!has_isolator(*list, "resource/memory"));
}

TEST_CASE("isolator: wrong values are refused where they stand") {
  CHECK(refused("resource/cpu", R"({"limit":"1.5"})", "at 'isolators[0].value.limit': '1.5' is not a quantity"));
  CHECK(refused("resource/cpu", R"({"limit":-1})", "at 'isolators[0].value.limit'"));
  CHECK(refused("resource/cpu", R"({"limit":"1","default":true})", "it takes no 'default'"));
  CHECK(refused("resource/memory", R"({"request":"2","limit":"1"})", "'request' is above 'limit'"));
  CHECK(refused("resource/block-iops", R"({"limit":"1"})", "'default' must be true"));
  CHECK(refused("resource/network-bandwidth", R"({"default":true,"request":"1"})", "it takes no 'request'"));
  CHECK(refused("resource/cpu", "null", "'value' is missing"));
  CHECK(refused("resource/cpu", "[]", "it must be an object"));
  CHECK(refused("os/linux/capabilities-retain-set", R"({"set":[]})", "'set' must not be empty"));
  CHECK(refused("os/linux/capabilities-retain-set", "{}", "'set' must not be empty"));
  CHECK(refused("os/linux/capabilities-retain-set", R"({"set":["kill"]})", "'kill' is not a capability"));
  CHECK(refused("os/linux/seccomp-retain-set", R"({"set":[""]})", "it must have 1 to 128 bytes"));
  CHECK(refused("os/linux/seccomp-retain-set", R"({"set":["a"],"errno":"perm"})", "'perm' is not an error's name"));
  CHECK(refused("os/linux/seccomp-retain-set", R"({"set":["a"],"errno":"E PERM"})", "is not an error's name"));
  CHECK(refused("os/linux/seccomp-retain-set", R"({"set":["a\u0000b"]})", "it holds a zero byte"));
  CHECK(refused("os/linux/no-new-privileges", R"("true")", "it must be true or false"));
  CHECK(refused("os/linux/oom-score-adj", "-1001", "-1001 is not within -1000 and 1000"));
  CHECK(refused("os/linux/oom-score-adj", "0.5", "it must be a whole number"));
  CHECK(refused("os/linux/oom-score-adj", "18446744073709551615", "it must be a whole number"));
  CHECK(refused("os/linux/cpu-shares", "1", "1 is not within 2 and 262144"));
  CHECK(refused("os/linux/cpu-shares", "-2", "it must be a whole number"));
  CHECK(refused("os/linux/selinux-context", R"({"user":"a:b","role":"r","type":"t","level":"l"})",
                "'user' holds a colon"));
  CHECK(refused("os/linux/selinux-context", R"({"user":"a","role":"","type":"t","level":"l"})",
                "value.role': it must not be empty"));
  CHECK(refused("os/unix/sysctl", R"({"a":1})", "the value of 'a' must be a string"));
  CHECK(refused("os/unix/sysctl", R"({"a":"b\u0000"})", "zero byte"));
}

TEST_CASE("isolator: sets that contradict each other are refused") {
  const auto fault = [](std::string_view list) { return std::string(message(read(list).status())); };
  CHECK(
      fault(
          R"([{"name":"os/linux/seccomp-retain-set","value":{"set":["a"]}},{"name":"os/linux/seccomp-remove-set","value":{"set":["a"]}}])") ==
      "at 'isolators': 'os/linux/seccomp-retain-set' and 'os/linux/seccomp-remove-set' exclude each other");
  CHECK(fault(R"([{"name":"os/linux/capabilities-remove-set","value":{"set":["CAP_KILL"]}},
                  {"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}}])")
            .find("exclude each other") != std::string::npos);
  CHECK(fault(R"([{"name":"os/linux/cpu-shares","value":2},{"name":"os/linux/cpu-shares","value":3}])") ==
        "at 'isolators': 'os/linux/cpu-shares' occurs twice");
  CHECK(fault(R"([{"name":"resource/cpu","value":{"limit":"1"}},{"name":"resource/cpu","value":{"limit":"2"}}])")
            .empty());
}
