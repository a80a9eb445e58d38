// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A store that mortise-image looks after, with images of a few files to put into it.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <examples/program.hpp>
#include <examples/scene.hpp>
#include <image/layout_builder.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/media_types.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace examples {

/// What a program printed as JSON, and the values in it by their paths: "images.0.location".
class printed {
 public:
  explicit printed(const outcome& of) : code(of.code), said(of.err), document_(parse(of.out)) {}

  int code;
  std::string said;

  [[nodiscard]] mortise::image::json::value at(std::string_view path) const {
    mortise::image::json::value out = document_.root();
    for (const std::string_view part : mortise::split(path, '.')) {
      if (const auto index = mortise::parse_number<std::size_t>(part)) {
        const auto elements = out.elements();
        REQUIRE_MESSAGE((elements.ok() && *index < elements->size()), path);
        out = (*elements)[*index];
      } else {
        const auto found = out.member(part);
        REQUIRE_MESSAGE(found.ok(), path);
        out = *found;
      }
    }
    return out;
  }
  [[nodiscard]] std::string text(std::string_view path) const { return at(path).text().value(); }
  [[nodiscard]] std::uint64_t number(std::string_view path) const { return at(path).count().value(); }
  [[nodiscard]] bool truth(std::string_view path) const { return at(path).boolean().value(); }
  [[nodiscard]] std::size_t size(std::string_view path) const { return at(path).elements()->size(); }
  [[nodiscard]] std::vector<std::string> texts(std::string_view path) const { return at(path).texts().value(); }
  [[nodiscard]] std::vector<std::string> names(std::string_view path = {}) const { return at(path).names().value(); }

 private:
  static mortise::image::json::document parse(const std::string& text) {
    auto out = mortise::image::json::document::parse(text, "what was printed");
    REQUIRE_MESSAGE(out.ok(), text);
    return *std::move(out);
  }

  mortise::image::json::document document_;
};

/// The tags `one` and `two` have a layer in common, and each one of its own.
class shelf {
 public:
  shelf() {
    using namespace support;
    const test_layer base =
        gzip_layer(tar_builder().directory("./").directory("d/", 0711).file("d/base", std::string(3000, 'b')).text());
    const auto image = [&](const std::string& name, std::string_view more) {
      const test_layer own = gzip_layer(
          tar_builder().directory("./").file("./" + name, name).symlink("link", "d/base").file("d/.wh.base").text());
      return descriptor(mortise::image::media::oci_manifest, layout_.put_image({base, own}, more), tagged(name));
    };
    layout_.write_index(
        {image("one", R"(,"config":{"Cmd":["/one","say \"1\""],"Labels":{"a\nb":"\u00e9\u0001"}})"), image("two", {})});
  }

  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] const support::layout_builder& layout() const { return layout_; }
  [[nodiscard]] std::string one() const { return "oci:" + layout_.path() + ":one"; }
  [[nodiscard]] std::string two() const { return "oci:" + layout_.path() + ":two"; }
  /// As mortise-run takes it; the store is in it.
  [[nodiscard]] std::string data() const { return place_ / "data"; }
  [[nodiscard]] std::string store() const { return data() + "/store"; }

  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& words) const {
    std::vector<std::string> out = {support::built_program("examples/mortise-image"), "--store", data()};
    out.insert(out.end(), words.begin(), words.end());
    return out;
  }
  [[nodiscard]] outcome run(const std::vector<std::string>& words, const run_options& how = {}) const {
    return examples::run(command(words), how);
  }
  [[nodiscard]] printed json(std::vector<std::string> words) const {
    words.emplace_back("--json");
    return printed(run(words));
  }
  /// All that is in the store, but for what changes while it is looked at.
  [[nodiscard]] std::string content() const {
    return examples::run({"sh", "-c", "cd \"$0\"; find . -path ./staging -o -path ./locks -o -print | sort", store()})
        .out;
  }

 private:
  support::temporary_directory place_;
  support::layout_builder layout_{place_ / "layout"};
};

}  // namespace examples
