// SPDX-License-Identifier: Apache-2.0
// Appc images in a store, beside others.
#include <mortise/image/store.hpp>

#include <doctest/doctest.h>

#include <image/appc/aci_scene.hpp>
#include <image/layout_builder.hpp>
#include <image/store_fixture.hpp>
#include <mortise/image/appc.hpp>
#include <string>
#include <support/skip.hpp>
#include <vector>

using mortise::message;
using support::aci_dependencies;
using support::aci_dependency;
using support::aci_manifest;
using support::aci_tar;
using strings = std::vector<std::string>;

namespace {

using mixed_store = mortise::image::store<mortise::image::oci_layout, mortise::image::appc_files>;

absl::StatusOr<mortise::model::image> provide(const std::string& directory, const std::string& location,
                                              const std::string& prefix,
                                              const mortise::image::provide_options& how = {}) {
  mortise::image::appc::discovery_options options;
  options.prefixes = {prefix};
  options.meta = false;
  MORTISE_ASSIGN_OR_RETURN(
      auto opened, mixed_store::open(directory, mortise::image::oci_layout(), mortise::image::appc_files({}, options)));
  return opened.provide<mortise::model::overlay_layers>(location, how);
}

}  // namespace

TEST_CASE("store: Appc images beside others, each tree under its own key") {
  if (support::missing_root()) return;
  const support::aci_directory place;
  const support::temporary_directory directory;
  const std::string store = directory / "store";
  const std::string base = aci_tar(aci_manifest("", "base"), {"a", "b"});
  place.put("base", base, [](const std::string& text) { return support::xz(text); });
  place.put(
      "part",
      aci_tar(aci_manifest(aci_dependencies({aci_dependency("base")}) + R"(,"pathWhitelist":["/b"])", "part"), {}));
  place.put("app",
            aci_tar(aci_manifest(aci_dependencies({aci_dependency("base"), aci_dependency("part")}), "app"), {"c"}));
  const auto app = provide(store, "appc:app", place.prefix());
  REQUIRE_MESSAGE(app.ok(), message(app.status()));
  REQUIRE(app->layers.size() == 4);
  CHECK(support::tree(app->layers[0].directory).paths() == strings{"a", "b"});
  CHECK(support::tree(app->layers[1].directory).paths() == strings{"b"});
  CHECK(app->layers[0].diff_id == app->layers[1].diff_id);
  CHECK_FALSE(app->config.appc_manifest.empty());
  const support::merged_layers merged(app->layers);
  CHECK(support::tree(merged.path()).paths() == strings{"a", "b", "c"});

  support::layout_builder layout(directory / "oci");  // a layer of OCI's with the same bytes is another tree
  const auto same = support::plain_layer(base);
  layout.write_image({same});
  const auto image = provide(store, "oci:" + layout.path() + ":latest", place.prefix());
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  CHECK(support::tree(image->layers[0].directory).paths() == strings{"manifest", "rootfs", "rootfs/a", "rootfs/b"});
  CHECK(image->config.appc_manifest.empty());
  const auto again = provide(store, "appc:app", place.prefix());
  CHECK(again->manifest == app->manifest);
  CHECK(again->layers[1].directory == app->layers[1].directory);
}

TEST_CASE("store: an Appc image that was found once is not looked for again, unless that is wanted") {
  if (support::missing_root()) return;
  const support::aci_directory place;
  const support::temporary_directory directory;
  const std::string store = directory / "store";
  place.put("app", aci_tar(aci_manifest("", "app"), {"first"}));
  REQUIRE(provide(store, "appc:app", place.prefix()).ok());
  place.put("app", aci_tar(aci_manifest("", "app"), {"second"}));
  const auto remembered = provide(store, "appc:app", place.prefix());
  REQUIRE(remembered.ok());
  CHECK(support::tree(remembered->layers[0].directory).paths() == strings{"first"});
  const auto asked = provide(store, "appc:app", place.prefix(), {.refresh = mortise::image::refresh::always});
  REQUIRE(asked.ok());
  CHECK(support::tree(asked->layers[0].directory).paths() == strings{"second"});
}

TEST_CASE("store: where signatures are checked, what was taken without is never believed") {
  if (support::missing_root()) return;
  /// Believes nothing.
  struct nobody {
    [[nodiscard]] bool is_needed() const { return true; }
    absl::Status operator()(const mortise::model::ac_identifier& /*name*/, const mortise::image::file_section& /*aci*/,
                            const mortise::image::appc::signature_text& /*ask*/) const {
      return absl::PermissionDeniedError("nobody signed it");
    }
  };
  const support::aci_directory place;
  const support::temporary_directory directory;
  place.put("app", aci_tar(aci_manifest("", "app"), {"file"}));
  const auto taken = provide(directory / "store", "appc:app", place.prefix());
  REQUIRE(taken.ok());
  using strict = mortise::image::basic_appc<mortise::fetch::file, nobody>;
  mortise::image::appc::discovery_options options;
  options.prefixes = {place.prefix()};
  options.meta = false;
  auto store = mortise::image::store<strict>::open(directory / "store", strict({}, options));
  REQUIRE(store.ok());
  using mortise::image::refresh;
  const std::string pinned = "appc:app@sha512-" + std::string(taken->layers[0].diff_id->hex());
  REQUIRE(provide(directory / "store", pinned, place.prefix()).ok());
  for (const std::string& location : {std::string("appc:app"), pinned})
    for (const refresh when : {refresh::missing, refresh::always})
      CHECK(absl::IsPermissionDenied(
          store->provide<mortise::model::overlay_layers>(location, {.refresh = when}).status()));
  CHECK(absl::IsNotFound(
      store->provide<mortise::model::overlay_layers>("appc:app", {.refresh = refresh::never}).status()));
}
