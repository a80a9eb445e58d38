// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/fields.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using mortise::message;
namespace fields = mortise::image::appc::detail;
namespace json = mortise::image::json;

namespace {

std::string path_of(std::string_view text) {
  const auto document = json::document::parse(mortise::concat(R"({"path":)", text, '}'), "it");
  REQUIRE(document.ok());
  const auto path = fields::read_path(document->root(), "path");
  return path.ok() ? *path : std::string(message(path.status()));
}

}  // namespace

TEST_CASE("fields: a path is absolute and in one spelling") {
  CHECK(path_of(R"("/")") == "/");
  CHECK(path_of(R"("//a/./b//c/")") == "/a/b/c");
  CHECK(path_of(R"("/..a/b..")") == "/..a/b..");
  CHECK(path_of(R"("a/b")") == "at 'path': 'a/b' is not an absolute path");
  CHECK(path_of(R"("")") == "at 'path': '' is not an absolute path");
  CHECK(path_of(R"("/a/../../etc")") == "at 'path': '/a/../../etc' contains '..'");
  CHECK(path_of(R"("/a/..")") == "at 'path': '/a/..' contains '..'");
  CHECK(path_of(R"("/a\u0000/../b")") == "at 'path': it holds a zero byte");
  CHECK(path_of(R"(7)") == "at 'path': it must be a string");
  CHECK(path_of('"' + std::string(4096, '/') + '"') == "at 'path': it is longer than 4095 bytes");
}

TEST_CASE("fields: a list has a bound, and its elements say where they stand") {
  const auto document = json::document::parse(R"({"l":["a","b",1]})", "it");
  REQUIRE(document.ok());
  const auto one = [](const json::value& each) { return fields::read_text(each); };
  CHECK(message(fields::read_list<std::string>(document->root(), "l", one).status()) ==
        "at 'l[2]': it must be a string");
  CHECK(message(fields::read_list<std::string>(document->root(), "l", one, 2).status()) ==
        "at 'l': it has more than 2 elements");
  CHECK(fields::read_list<std::string>(document->root(), "m", one)->empty());
}

TEST_CASE("fields: labels say what is wrong with them") {
  const auto fault = [](std::string_view text) {
    const auto document = json::document::parse(mortise::concat(R"({"labels":)", text, '}'), "it");
    return std::string(message(fields::read_labels(document->root()).status()));
  };
  CHECK(fault(R"([{"name":"version","value":"1"}])").empty());
  CHECK(fault("null").empty());
  CHECK(fault(R"([{"name":"A","value":"1"}])").starts_with("at 'labels[0].name': parse AC identifier 'A'"));
  CHECK(fault(R"([{"name":"a","value":"1"},{"name":"a","value":"1"}])") ==
        "at 'labels': check labels: 'a' occurs twice");
  CHECK(fault(R"([{"name":"a","value":1}])") == "at 'labels[0].value': it must be a string");
  CHECK(fault(R"([{"value":"1"}])") == "at 'labels[0]': 'name' is missing");
}
