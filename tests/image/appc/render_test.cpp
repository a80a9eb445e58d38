// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/render.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <utility>
#include <vector>

using mortise::message;
using namespace mortise::image::appc;
using mortise::model::ac_identifier;
using mortise::model::ac_image_id;

namespace {

/// Images by name; the ID of one is made of its number.
class shelf {
 public:
  struct spec {
    std::string name;
    std::vector<std::string> dependencies = {};
    std::vector<std::string> whitelist = {};
  };

  shelf& add(const spec& of) {
    image_manifest manifest{"0.8.11", false, ac_identifier::parse(of.name).value(), {}, {}, {}, of.whitelist, {}};
    for (const std::string& each : of.dependencies)
      manifest.dependencies.push_back({ac_identifier::parse(each).value(), {}, {}, {}});
    const std::string number = std::to_string(images_.size());
    const auto id = ac_image_id::parse("sha512-" + std::string(128 - number.size(), '0') + number);
    images_.insert_or_assign(of.name,
                             found_image{id.value(), 10, std::make_shared<const image_manifest>(std::move(manifest))});
    return *this;
  }

  [[nodiscard]] const found_image& at(const std::string& name) const { return images_.at(name); }

  [[nodiscard]] absl::StatusOr<std::vector<rendered_layer>> layers(const std::string& name,
                                                                   const render_limits& most = {}) const {
    const auto lookup = [this](const dependency& wanted) -> absl::StatusOr<found_image> {
      const auto found = images_.find(wanted.name.text());
      if (found == images_.end()) return absl::NotFoundError("no such image");
      return found->second;
    };
    return rendering_order(images_.at(name), lookup, most);
  }

  /// "d b c a", or what went wrong.
  [[nodiscard]] std::string order(const std::string& name, const render_limits& most = {}) const {
    const auto all = layers(name, most);
    if (!all.ok()) return std::string(message(all.status()));
    std::vector<std::string> names;
    for (const rendered_layer& each : *all) names.push_back(each.image.manifest->name.text());
    return mortise::join(names, " ");
  }

 private:
  std::map<std::string, found_image> images_;
};

/// "app" is made of four images, each of which has "shared" with its long whitelist 250 times.
void share_long_whitelist(shelf& images) {
  std::vector<std::string> list;
  for (int each = 0; each < 100'000; ++each) list.push_back("/directory/with/a/name/" + std::to_string(each));
  const std::vector<std::string> all(250, "shared");
  images.add({"shared", {}, list}).add({"a", all}).add({"b", all}).add({"c", all}).add({"d", all});
  images.add({"app", {"a", "b", "c", "d"}});
}

}  // namespace

TEST_CASE("render: dependencies come first, in their order, and what they depend on before them") {
  shelf all;
  all.add({"a", {"b", "c"}}).add({"b", {"d", "e"}}).add({"c"}).add({"d"}).add({"e"});
  CHECK(all.order("a") == "d e b c a");
  CHECK(all.order("c") == "c");
}

TEST_CASE("render: an image seen twice alike counts where it is seen last") {
  shelf all;
  all.add({"a", {"b", "c"}}).add({"b", {"d"}}).add({"c", {"d"}}).add({"d"});
  CHECK(all.order("a") == "b d c a");
  shelf twice;
  twice.add({"a", {"b", "b"}}).add({"b"});
  CHECK(twice.order("a") == "b a");
}

TEST_CASE("render: an image seen through two whitelists is laid down twice") {
  shelf all;
  all.add({"a", {"b", "c"}}).add({"b", {"d"}, {"/x"}}).add({"c", {"d"}, {"/y"}}).add({"d"});
  CHECK(all.order("a") == "d b d c a");
  const auto layers = all.layers("a");
  REQUIRE(layers.ok());
  CHECK(layers->at(0).filter.shows("/x"));
  CHECK(!layers->at(0).filter.shows("/y"));
  CHECK(layers->at(2).filter.shows("/y"));
  CHECK(!layers->at(2).filter.shows("/x"));
  CHECK(layers->at(4).filter.shows_all());
}

TEST_CASE("render: the whitelists above an image narrow what it shows") {
  shelf all;
  all.add({"a", {"b"}, {"/usr/bin/x", "/etc"}}).add({"b", {"c"}, {"/usr/bin/x", "/usr/bin/y"}}).add({"c"});
  const auto layers = all.layers("a");
  REQUIRE(layers.ok());
  for (const std::size_t at : {0U, 1U}) {
    const path_filter& filter = layers->at(at).filter;
    CHECK(filter.shows("/usr/bin/x"));
    CHECK(filter.shows("/usr"));
    CHECK(!filter.shows("/usr/bin/y"));
    CHECK(!filter.shows("/etc"));
  }
  CHECK(layers->at(2).filter.shows("/etc"));
  CHECK(!layers->at(2).filter.shows("/usr/bin/y"));
}

TEST_CASE("render: cycles are refused by name") {
  shelf all;
  all.add({"a", {"b"}}).add({"b", {"c"}}).add({"c", {"a"}}).add({"self", {"self"}});
  CHECK(all.order("a") == "render image 'a': it depends on itself (a > b > c > a)");
  CHECK(all.order("self") == "render image 'self': it depends on itself (self > self)");
  CHECK(all.layers("a").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("render: depth and the number of images are bounded") {
  shelf chain;
  for (int at = 0; at < 200; ++at) chain.add({"n" + std::to_string(at), {"n" + std::to_string(at + 1)}});
  chain.add({"n200"});
  CHECK(chain.order("n0").find("its dependencies go deeper than 64 (... > n57") != std::string::npos);
  CHECK(chain.layers("n136")->size() == 65);
  CHECK(chain.layers("n0", {.depth = 300})->size() == 201);
  shelf diamonds;  // 2^40 ways
  for (int at = 0; at < 40; ++at) {
    const std::string next = "n" + std::to_string(at + 1);
    diamonds.add({"n" + std::to_string(at), {next, next}});
  }
  diamonds.add({"n40"});
  CHECK(diamonds.layers("n0").status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(diamonds.order("n0").find("it needs more than 1024 images") != std::string::npos);
}

TEST_CASE("render: an image that is missing, or another one, is refused") {
  shelf all;
  all.add({"a", {"b"}});
  CHECK(all.order("a") == "find dependency of 'a': no such image");
  CHECK(all.layers("a").status().code() == absl::StatusCode::kNotFound);

  all.add({"b"});
  const found_image& image = all.at("b");
  const auto other = all.at("a").id;
  dependency wanted{ac_identifier::parse("b").value(), image.id, {}, 10};
  CHECK(check_match(wanted, image).ok());
  wanted.size = 11;
  CHECK(message(check_match(wanted, image)) == "match image 'b': its size is '10', expected '11'");
  wanted.id = other;
  CHECK(check_match(wanted, image).code() == absl::StatusCode::kDataLoss);
  CHECK(message(check_match(wanted, image)).find("its image ID is 'sha512-") != std::string::npos);
  const dependency named{ac_identifier::parse("c").value(), {}, {}, {}};
  CHECK(message(check_match(named, image)) == "match image 'c': its name is 'b', expected 'c'");
  auto labels = mortise::model::ac_labels::make({{ac_identifier::parse("version").value(), "1"}});
  const dependency labelled{ac_identifier::parse("b").value(), {}, *labels, {}};
  CHECK(message(check_match(labelled, image)) == "match image 'b': its label version is 'missing', expected '1'");
}

TEST_CASE("render: a whitelist counts once, on however many ways its image is reached alike") {
  shelf images;
  share_long_whitelist(images);
  CHECK(images.order("app", {.whitelists = 10'000'000}) == "a b c shared d app");
  // Through other filters it is another matter, and has a bound.
  images.add({"left", {"shared"}, {"/directory", "/a"}}).add({"right", {"shared"}, {"/directory", "/b"}});
  images.add({"other", {"left", "right", "d"}});
  CHECK(images.order("other") == "left shared right shared d other");
  CHECK(images.order("other", {.whitelists = 10'000'000}) ==
        "render image 'shared': the path whitelists on the way are too long (other > right > shared)");
}

TEST_CASE("render: a thousand views of a long whitelist do not take a thousand times its memory") {
  shelf images;
  share_long_whitelist(images);
  const auto outcome = support::in_child({.cpu_seconds = 20}, [&] {
    const auto order = images.order("app");
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return order + (used.ru_maxrss < 512 << 10 ? "" : " " + std::to_string(used.ru_maxrss) + " KiB");
  });
  CHECK(outcome.text == "a b c shared d app");
}
