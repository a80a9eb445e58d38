// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/json.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

using mortise::message;
using mortise::image::json::document;
using mortise::image::json::limits;

namespace {

std::string refusal(std::string_view text, const limits& most = {}) {
  const auto parsed = document::parse(text, "it", most);
  return parsed.ok() ? "accepted" : std::string(message(parsed.status()));
}

bool says(std::string_view text, std::string_view part, const limits& most = {}) {
  CAPTURE(refusal(text, most));
  return refusal(text, most).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("json: what is not exactly one value is refused") {
  using namespace std::string_view_literals;
  CHECK(says("", "parse it: not JSON at byte 0"));
  CHECK(says("{", "not JSON"));
  CHECK(says("[1] [2]", "not JSON at byte 4"));
  CHECK(says("[1,]", "not JSON"));
  CHECK(says("{'a':1}", "not JSON"));
  CHECK(says("// note\n1", "not JSON"));
  CHECK(says("[1]\0{}"sv, "zero byte"));
  CHECK(refusal(" [1] \n") == "accepted");
}

TEST_CASE("json: numbers that are none are refused") {
  for (const char* const bad : {"[NaN]", "[Infinity]", "[-Infinity]", "[1e999]", "[01]", "[+1]", "[.5]", "[0x1]"}) {
    CAPTURE(bad);
    CHECK(says(bad, "not JSON"));
  }
}

TEST_CASE("json: text is UTF-8") {
  CHECK(says("[\"\xff\"]", "encoding"));
  CHECK(says("[\"\xc0\xaf\"]", "encoding"));      // an overlong '/'
  CHECK(says("[\"\xed\xa0\x80\"]", "encoding"));  // half a surrogate pair
  CHECK(says("[\"\\ud800\"]", "not JSON"));
  CHECK(refusal("[\"\xc3\xa9 \\u00e9\"]") == "accepted");
}

TEST_CASE("json: a name occurs once in an object, at every depth") {
  CHECK(says(R"({"a":1,"a":1})", "the name 'a' occurs twice"));
  CHECK(says(R"([[{"b":{"a":1,"c":2,"a":3}}]])", "the name 'a' occurs twice"));
  CHECK(says(R"({"a":1,"\u0061":2})", "the name 'a' occurs twice"));
  CHECK(refusal(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]})") == "accepted");
}

TEST_CASE("json: size, depth and count are bounded") {
  CHECK(says("[1,2,3]", "longer than 4 bytes", {.size = 4}));
  CHECK(says("[[[[1]]]]", "nested deeper than 3", {.depth = 3}));
  CHECK(refusal("[[[1]]]", {.depth = 3}) == "accepted");
  CHECK(says(R"({"a":[1,2]})", "more than 4 values", {.values = 4}));
  CHECK(refusal(R"({"a":[1,2]})", {.values = 5}) == "accepted");
  CHECK(says(std::string(1 << 20, '['), "nested deeper than 64"));
}

TEST_CASE("json: getters say where and what") {
  const auto parsed =
      document::parse(R"({"layers":[{"size":-1,"digest":7,"data":null}],"name":"x","big":9223372036854775808,
                                          "most":9223372036854775807,"half":0.5,"yes":true,"tags":["a",1]})",
                      "it");
  REQUIRE(parsed.ok());
  const auto root = parsed->root();
  const auto layer = root.member("layers")->elements()->front();
  const auto said = [](const auto& result) { return std::string(message(result.status())); };

  CHECK(said(layer.member("size")->count()) == "at 'layers[0].size': it must be a whole number from 0 to 2^63 - 1");
  CHECK(said(layer.member("digest")->text()) == "at 'layers[0].digest': it must be a string");
  CHECK(said(layer.member("mediaType")) == "at 'layers[0]': 'mediaType' is missing");
  CHECK(said(layer.member("data")) == "at 'layers[0]': 'data' is missing");
  CHECK(said(root.texts_or_none("tags")) == "at 'tags[1]': it must be a string");
  CHECK(said(root.texts_or_none("name")) == "at 'name': it must be an array");
  CHECK(said(root.member("name")->optional("x")) == "at 'name': it must be an object");
  CHECK(said(root.pairs()) == "the value of 'layers' must be a string");
  CHECK(said(root.member("name")->boolean()) == "at 'name': it must be true or false");
  CHECK_FALSE(root.member("big")->count().ok());
  CHECK_FALSE(root.member("half")->count().ok());
  CHECK(*root.member("most")->count() == 9223372036854775807U);
  CHECK(*root.member("yes")->boolean());
}

TEST_CASE("json: whole numbers have a sign only where one is asked for") {
  const auto parsed = document::parse(
      R"({"least":-9223372036854775808,"most":9223372036854775807,"big":9223372036854775808,"half":-0.5})", "it");
  REQUIRE(parsed.ok());
  const auto root = parsed->root();
  CHECK(*root.member("least")->integer() == INT64_MIN);
  CHECK(*root.member("most")->integer() == INT64_MAX);
  CHECK_FALSE(root.member("least")->count().ok());
  for (const char* const none : {"big", "half"})
    CHECK(message(root.member(none)->integer().status()) ==
          mortise::concat("at '", none, "': it must be a whole number from -2^63 to 2^63 - 1"));
}

TEST_CASE("json: null is as good as absent") {
  const auto parsed = document::parse(R"({"a":null,"labels":{"x":null,"y":"1"}})", "it");
  REQUIRE(parsed.ok());
  const auto root = parsed->root();
  CHECK_FALSE(root.has("a"));
  CHECK(root.text_or("a", "otherwise").value() == "otherwise");
  CHECK(root.texts_or_none("a")->empty());
  CHECK(root.names_or_none("a")->empty());
  CHECK(root.pairs_or_none("a")->empty());
  const auto labels = root.pairs_or_none("labels");
  REQUIRE(labels.ok());
  CHECK(labels->size() == 2);
  CHECK((*labels)[0].second.empty());
  CHECK((*labels)[1].second == "1");
}

TEST_CASE("json: quoted text reads back") {
  const std::string odd = "a\"b\\c\n\x01/\xc3\xa9";
  const auto parsed = document::parse(mortise::image::json::quoted(odd), "it");
  REQUIRE(parsed.ok());
  CHECK(*parsed->root().text() == odd);
}
