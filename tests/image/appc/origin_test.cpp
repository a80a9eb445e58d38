// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/origin.hpp>

#include <doctest/doctest.h>

#include <image/appc/aci_scene.hpp>
#include <map>
#include <string>
#include <vector>

using mortise::message;
using namespace mortise::image::appc;
using support::aci_dependencies;
using support::aci_dependency;
using support::aci_manifest;
using support::aci_tar;
using support::provided_image;

namespace {

/// Images by name in one directory, and how often each was looked for.
class shelf final : public image_finder {
 public:
  explicit shelf(std::map<std::string, int>& asked) : asked_(asked) {}
  void put(const std::string& name, const std::string& tar) { support::write_file(place_ / name, tar); }

  absl::StatusOr<stored_aci> find_main() override { return read("app"); }
  absl::StatusOr<stored_aci> find(const dependency& wanted, const stored_aci& for_image) override {
    CHECK(for_image.about->manifest.name == "app");
    return read(wanted.name.text());
  }
  [[nodiscard]] std::string fingerprint() const override { return "as it is"; }
  [[nodiscard]] bool is_elsewhere() const override { return true; }
  [[nodiscard]] bool must_be_asked() const override { return true; }
  void heed(const std::atomic<bool>* /*cancelled*/) override {}

 private:
  absl::StatusOr<stored_aci> read(const std::string& name) {
    ++asked_[name];
    MORTISE_ASSIGN_OR_RETURN(auto file, mortise::image::open_file(AT_FDCWD, place_ / name));
    return read_stored(std::move(file), name, {});
  }

  support::temporary_directory place_;
  std::map<std::string, int>& asked_;
};

}  // namespace

TEST_CASE("Appc origin: each question is asked once, each image is one layer for each view of it") {
  std::map<std::string, int> asked;
  auto images = std::make_unique<shelf>(asked);
  images->put("base", aci_tar(aci_manifest("", "base"), {"base"}));
  images->put("left", aci_tar(aci_manifest(aci_dependencies({aci_dependency("base")}), "left"), {"left"}));
  images->put("right", aci_tar(aci_manifest(aci_dependencies({aci_dependency("base")}), "right"), {"right"}));
  images->put("app", aci_tar(aci_manifest(aci_dependencies({aci_dependency("left"), aci_dependency("right")}), "app"),
                             {"app"}));
  image_origin from(std::move(images));
  CHECK(from.fingerprint() == "as it is");
  CHECK_FALSE(from.is_remote());
  CHECK(from.is_elsewhere());
  CHECK(from.must_be_asked());
  const provided_image image(from);
  REQUIRE_MESSAGE(image.status.ok(), image.said());
  CHECK(asked == std::map<std::string, int>{{"app", 1}, {"base", 1}, {"left", 1}, {"right", 1}});
  CHECK(image.image->manifest.parsed.layers.size() == 4);  // base shows all on both ways: once is enough
}

TEST_CASE("Appc origin: blobs are the image's own, and no others") {
  std::map<std::string, int> asked;
  auto images = std::make_unique<shelf>(asked);
  const std::string tar = aci_tar(aci_manifest("", "app"), {"app"});
  images->put("app", tar);
  image_origin from(std::move(images));
  const auto type = mortise::model::media_type::parse("a/b").value();
  const mortise::model::descriptor blob{type, support::image_id(tar).digest(), 0, {}, {}, {}, {}, {}};
  CHECK(from.open_blob(blob).status().code() == absl::StatusCode::kNotFound);  // not before it was looked at
  REQUIRE(from.roots().ok());
  CHECK(from.open_blob(blob).ok());
  const mortise::model::descriptor other{type, mortise::digest::of("x"), 0, {}, {}, {}, {}, {}};
  CHECK(from.open_blob(other).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("Appc origin: a failure to find says for which image") {
  std::map<std::string, int> asked;
  auto images = std::make_unique<shelf>(asked);
  images->put("app", aci_tar(aci_manifest(aci_dependencies({aci_dependency("gone")}), "app"), {}));
  image_origin from(std::move(images));
  CHECK(message(from.roots().status()).starts_with("find dependency of 'app': "));
}

TEST_CASE("Appc origin: all manifests together have a bound") {
  std::map<std::string, int> asked;
  auto images = std::make_unique<shelf>(asked);
  std::vector<std::string> names;
  const std::string long_text = R"("note":")" + std::string(std::size_t{3} << 20, 'x') + '"';
  for (const char* const name : {"a", "b", "c", "d", "e", "f"}) {
    images->put(name, aci_tar(aci_manifest(long_text, name), {name}));
    names.push_back(aci_dependency(name));
  }
  images->put("app", aci_tar(aci_manifest(aci_dependencies(names), "app"), {"app"}));
  image_origin from(std::move(images));
  const auto status = from.roots().status();
  CHECK(absl::IsResourceExhausted(status));
  CHECK(message(status).find("keep image 'f': the manifests of all images take more than 16777216 bytes") !=
        std::string::npos);
}
