// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/schema1.hpp>

#include <doctest/doctest.h>

#include <mortise/image/oci/config.hpp>
#include <string>
#include <string_view>
#include <vector>

using mortise::message;
using mortise::image::distribution::base64_form;
using mortise::image::distribution::encode_base64;
using mortise::image::distribution::parse_schema_1;
using mortise::image::distribution::schema_1_config;
using mortise::image::distribution::schema_1_payload;

namespace {

std::string sum(char letter) { return "sha256:" + std::string(64, letter); }

struct step {
  char blob;
  std::string compatibility;
};
std::string manifest(const std::vector<step>& steps, const std::string& more = "") {
  std::string layers;
  std::string history;
  for (const step& each : steps) {
    const std::string comma = layers.empty() ? "" : ",";
    layers += comma + R"({"blobSum":")" + sum(each.blob) + "\"}";
    history += comma + R"({"v1Compatibility":)" + mortise::image::json::quoted(each.compatibility) + '}';
  }
  return R"({"schemaVersion":1,"name":"library/x","tag":"1","architecture":"amd64","fsLayers":[)" + layers +
         R"(],"history":[)" + history + "]" + more + "}";
}
const std::vector<step> three{
    {'c',
     R"({"id":"3","parent":"2","created":"2016-01-03T00:00:00Z","config":{"Cmd":["sh"],"User":"u"},"os":"linux"})"},
    {'b', R"({"id":"2","parent":"1","throwaway":true,"container_config":{"Cmd":["/bin/sh","-c","#(nop) CMD"]}})"},
    {'a', R"({"id":"1","comment":"base"})"}};

/// `text` signed as libtrust does it, with the numbers given.
std::string sign(const std::string& text, std::size_t length, const std::string& tail, int times = 1) {
  const std::string header = R"({"formatLength":)" + std::to_string(length) + R"(,"formatTail":")" +
                             encode_base64(tail, base64_form::url) + R"(","time":"2016-01-01T00:00:00Z"})";
  const std::string one =
      R"({"header":{"alg":"ES256"},"signature":"x","protected":")" + encode_base64(header, base64_form::url) + "\"}";
  std::string all = one;
  for (int each = 1; each < times; ++each) all += ',' + one;
  return text.substr(0, text.rfind('}')) + R"(,"signatures":[)" + all + "]}";
}

std::string refusal(const std::string& text) {
  const auto out = parse_schema_1(text, "it");
  return out.ok() ? "accepted" : std::string(message(out.status()));
}
std::string payload(const std::string& text) {
  const auto out = schema_1_payload(text, "it");
  return out.ok() ? *out : std::string(message(out.status()));
}

}  // namespace

TEST_CASE("schema 1: layers and history, turned about") {
  const auto read = parse_schema_1(manifest(three), "it");
  REQUIRE_MESSAGE(read.ok(), message(read.status()));
  CHECK(read->name == "library/x");
  REQUIRE(read->layers.size() == 2);
  CHECK(read->layers[0].text() == sum('a'));
  CHECK(read->layers[1].text() == sum('c'));
  REQUIRE(read->history.size() == 3);
  CHECK(read->history[0].comment == "base");
  CHECK(read->history[1].empty_layer);
  CHECK(read->history[1].created_by == "/bin/sh -c #(nop) CMD");
}

TEST_CASE("schema 1: a configuration is made that today's parser takes") {
  const auto read = parse_schema_1(manifest(three), "it").value();
  const std::vector<mortise::model::digest> ids{mortise::model::digest::parse(sum('1')).value(),
                                                mortise::model::digest::parse(sum('2')).value()};
  const std::string text = schema_1_config(read, ids).value();
  CHECK(text == schema_1_config(read, ids).value());
  const auto config = mortise::image::oci::parse_config(text, "config");
  REQUIRE_MESSAGE(config.ok(), message(config.status()));
  CHECK(config->platform.text() == "linux/amd64");
  CHECK(config->cmd == std::vector<std::string>{"sh"});
  CHECK(config->user == "u");
  CHECK(config->diff_ids == ids);
  CHECK(config->history.size() == 3);
  CHECK(config->history[1].empty_layer);
  CHECK_FALSE(schema_1_config(read, {ids[0]}).ok());

  auto odd = read;
  odd.top = R"({"rootfs":{}})";
  CHECK(message(schema_1_config(odd, ids).status()).find("of its own") != std::string_view::npos);
  odd.top = " { } ";
  CHECK(mortise::image::oci::parse_config(schema_1_config(odd, ids).value(), "config").ok());
}

TEST_CASE("schema 1: a signed one is what it was before it was signed") {
  const std::string text = manifest(three);
  const std::size_t length = text.size() - 1;
  CHECK(payload(text) == text);
  CHECK(payload(sign(text, length, "}")) == text);
  CHECK(payload(sign(text, length, "}", 3)) == text);
  // With the line ends of the pretty form.
  CHECK(payload(sign(text, length - 1, "]\n}")) == text.substr(0, length - 1) + "]\n}");
}

TEST_CASE("schema 1: hostile signatures") {
  const std::string text = manifest(three);
  const std::size_t length = text.size() - 1;
  CHECK(payload(sign(text, 1 << 20, "}")).find("it is more than the document has") != std::string::npos);
  CHECK(payload(sign(text, length, "}", 17)).find("1 to 16 signatures") != std::string::npos);
  const auto with = [&](const std::string& signatures) {
    return payload(text.substr(0, length) + R"(,"signatures":)" + signatures + "}");
  };
  CHECK(with("[]").find("1 to 16 signatures") != std::string::npos);
  CHECK(with("{}").find("it must be an array") != std::string::npos);
  CHECK(with("[{}]").find("'protected' is missing") != std::string::npos);
  CHECK(with(R"([{"protected":"!"}])").find("not base64 for URLs") != std::string::npos);
  CHECK(with(R"([{"protected":"e30"}])").find("'formatLength' is missing") != std::string::npos);
  CHECK(with(R"([{"protected":")" + encode_base64("{\"formatLength\":-1,\"formatTail\":\"\"}", base64_form::url) +
             R"("}])")
            .find("formatLength") != std::string::npos);
  CHECK(with(R"([{"protected":")" + encode_base64("[[[[[[[[", base64_form::url) + R"("}])").find("parse its header") !=
        std::string::npos);
  // Two signatures that are of different bytes: which of them would the digest be of?
  const std::string one = sign(text, length, "}");
  const std::string other = sign(text, length, " }");
  const std::string element = other.substr(other.find(R"(,"signatures":[)") + 15);
  CHECK(payload(one.substr(0, one.size() - 2) + ',' + element).find("it is of other bytes than the first") !=
        std::string::npos);
  // What is not in the payload is not read: the tail may say something else than the text, and the digest is of it.
  CHECK(refusal(payload(sign(text, 0, "{}"))).find("'schemaVersion' is missing") != std::string::npos);
  CHECK(refusal(sign(text, length, "}")).find("'signatures' has no place") != std::string::npos);
}

TEST_CASE("schema 1: hostile manifests") {
  CHECK(refusal("{}").find("'schemaVersion' is missing") != std::string::npos);
  CHECK(refusal(R"({"schemaVersion":2})").find("it must be 1") != std::string::npos);
  for (const char* const other : {"manifests", "layers", "config"})
    CHECK(refusal(manifest(three, ",\"" + std::string(other) + "\":[]")).find("has no place") != std::string::npos);
  CHECK(refusal(manifest({})).find("'fsLayers': it is empty") != std::string::npos);
  CHECK(refusal(manifest(std::vector<step>(513, three[2]))).find("more than 512") != std::string::npos);
  CHECK(refusal(R"({"schemaVersion":1,"fsLayers":[{"blobSum":")" + sum('a') + R"("}],"history":[]})")
            .find("it has 0 elements where 'fsLayers' has 1") != std::string::npos);
  CHECK(refusal(R"({"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:../../x"}],"history":[{"v1Compatibility":"{}"}]})")
            .find("at 'fsLayers[0].blobSum': parse digest") != std::string::npos);
  CHECK(refusal(manifest({{'a', "{"}})).find("parse history[0]: not JSON") != std::string::npos);
  CHECK(refusal(manifest({{'a', "[]"}})).find("must be an object") != std::string::npos);
  CHECK(refusal(manifest({{'a', "{}"}})).find("step 0 has no id") != std::string::npos);
  CHECK(refusal(manifest({{'a', R"({"id":"1","throwaway":"yes"})"}})).find("throwaway") != std::string::npos);
  CHECK(refusal(manifest({{'a', R"({"id":"1","parent":"0"})"}})).find("does not stand on the one below") !=
        std::string::npos);
  CHECK(refusal(manifest({{'b', R"({"id":"2"})"}, {'a', R"({"id":"1"})"}})).find("does not stand on") !=
        std::string::npos);
  CHECK(refusal(manifest(
                    {{'c', R"({"id":"1","parent":"2"})"}, {'b', R"({"id":"2","parent":"1"})"}, {'a', R"({"id":"1"})"}}))
            .find("an id that another has") != std::string::npos);
  // Written twice in a row, as Docker of old did it.
  const auto twice = parse_schema_1(manifest({three[0], three[0], three[1], three[2], three[2]}), "it");
  REQUIRE_MESSAGE(twice.ok(), message(twice.status()));
  CHECK(twice->layers.size() == 2);
  CHECK(refusal(std::string(9 << 20, ' ')).find("longer than") != std::string::npos);
}
