// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/verify.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <mortise/image/oci_layout.hpp>
#include <string>
#include <support/skip.hpp>
#include <vector>

namespace {

using mortise::image::verification;
using mortise::image::verify_options;
using mortise::model::overlay_layers;
using store_type = mortise::image::store<support::remote_source, mortise::image::oci_layout>;

/// An image of three layers, the middle one kept by chain.
struct scene {
  support::temporary_directory place;
  std::string directory = place / "store";
  support::layout_builder layout{place / "oci"};
  support::remote_source source;
  store_type store = *store_type::open(directory, source, {});
  std::string location = "remote:" + layout.path() + ":latest";
  mortise::model::layers layers;

  scene() {
    support::tar_builder middle;
    middle.file("d/file", "middle");
    layout.write_image(
        {support::gzip_layer(support::tar_builder().directory("./").directory("d/", 0711).file("one", "one").text()),
         support::gzip_layer(middle.text()),
         support::gzip_layer(support::tar_builder().directory("./").file("top", "top").text())});
  }
  void provide() {
    const auto image = store.provide<overlay_layers>(location);
    REQUIRE(image.ok());
    layers = image->layers;
  }
  verification verify(bool repair = false) {
    verify_options options;
    options.repair = repair;
    auto out = store.verify<overlay_layers>(options);
    REQUIRE(out.ok());
    CHECK(support::names_in(directory + "/staging").empty());
    return *std::move(out);
  }
  /// Flips a bit of a file's content and leaves its times as they were.
  static void damage(const std::string& path, std::size_t at = 0) {
    struct stat about{};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    std::string text = support::read_file(path);
    text[at] ^= 1;
    support::write_file(path, text);
    const timespec times[] = {about.st_atim, about.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  std::string blob_of(const std::string& part) const {  // of a document that contains `part`
    for (const std::string& name : support::names_in(directory + "/blobs/sha256"))
      if (support::read_file(directory + "/blobs/sha256/" + name).find(part) != std::string::npos)
        return directory + "/blobs/sha256/" + name;
    return {};
  }
};

}  // namespace

TEST_CASE("verify: a sound store is sound, and all of it was looked at") {
  if (support::missing_root()) return;
  scene here;
  here.provide();
  std::vector<std::string> heard;
  verify_options options;
  options.hear = [&](std::string_view name, std::size_t at, std::size_t of) {
    CHECK(at == heard.size());
    CHECK(of == 8);
    heard.emplace_back(name);
  };
  const auto found = here.store.verify<overlay_layers>(options);
  REQUIRE(found.ok());
  CHECK(found->blobs == 5);
  CHECK(found->layers == 3);
  CHECK(found->unchecked == 0);
  CHECK(found->damaged.empty());
  CHECK(heard.size() == 8);
}

TEST_CASE("verify: a changed file of a layer is found, and made anew from the blob") {
  if (support::missing_root()) return;
  for (const std::size_t which : {0UL, 1UL, 2UL}) {
    scene here;
    here.provide();
    const char* const files[] = {"/one", "/d/file", "/top"};
    here.damage(here.layers[which].directory + files[which]);
    const verification found = here.verify();
    // The middle layer holds a part of the lowest one, but not that file.
    REQUIRE(found.damaged.size() == 1);
    CHECK(here.layers[which].directory == here.directory + "/" + found.damaged.front().name + "/tree");
    CHECK(found.damaged.front().locations == std::vector{here.location});
    here.source.how->calls = 0;
    const verification repaired = here.verify(true);
    CHECK(repaired.damaged.front().removed);
    CHECK(repaired.pulled == std::vector{here.location});
    CHECK(repaired.problems.empty());
    CHECK(here.source.how->calls == 0);
    CHECK(here.verify().damaged.empty());
  }
}

TEST_CASE("verify: damaged blobs and documents are found and fetched again") {
  if (support::missing_root()) return;
  for (const char* const part : {"diff_ids", "schemaVersion", "\x1f\x8b"}) {
    scene here;
    here.provide();
    here.damage(here.blob_of(part), 20);
    const verification found = here.verify();
    REQUIRE(found.damaged.size() == 1);
    CHECK(found.damaged.front().name.starts_with("blobs/sha256/"));
    CHECK(found.damaged.front().why.find("its digest is") != std::string::npos);
    const verification repaired = here.verify(true);
    CHECK(repaired.problems.empty());
    CHECK(repaired.pulled == std::vector{here.location});
    const verification after = here.verify();
    CHECK(after.damaged.empty());
    here.provide();
  }
}

TEST_CASE("verify: what was kept as it is is fetched again, whatever else the store holds") {
  if (support::missing_root()) return;
  for (const bool beside_others : {false, true}) {
    CAPTURE(beside_others);
    scene here;
    if (beside_others) here.provide();
    const auto artifact = here.layout.put(
        support::manifest_text(support::descriptor("application/vnd.oci.empty.v1+json", here.layout.put("{}")),
                               {support::descriptor("text/plain", here.layout.put("the file of an artifact"))}));
    here.layout.write_index({support::descriptor(mortise::image::media::oci_manifest, artifact, support::tagged("a"))});
    const std::string location = "oci:" + here.layout.path() + ":a";
    REQUIRE(here.store.fetch(location).ok());
    for (const char* const part : {"the file of", "text/plain"}) {
      const std::string blob = here.blob_of(part);
      const std::string text = support::read_file(blob);
      here.damage(blob, 3);
      const verification repaired = here.verify(true);
      CHECK(repaired.problems.empty());
      CHECK(repaired.pulled == std::vector{location});
      CHECK(support::read_file(blob) == text);
    }
  }
}

TEST_CASE("verify: what is in use is named and left") {
  if (support::missing_root()) return;
  scene here;
  const auto used = here.store.provide<overlay_layers>(here.location);
  REQUIRE(used.ok());
  here.damage(used->layers[2].directory + "/top");
  const verification found = here.verify(true);
  REQUIRE(found.damaged.size() == 1);
  CHECK_FALSE(found.damaged.front().removed);
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems.front().find("it is in use (end its containers first)") != std::string::npos);
}

TEST_CASE("verify: layers of local sources are compared with those while they are there") {
  if (support::missing_root()) return;
  scene here;
  here.location = "oci:" + here.layout.path() + ":latest";
  here.provide();
  CHECK(here.verify().layers == 3);
  here.damage(here.layers[0].directory + "/one");
  CHECK(here.verify().damaged.size() == 1);
  CHECK(here.verify(true).pulled.size() == 1);
  mortise::sys::remove_tree(here.layout.path()).IgnoreError();
  const verification gone = here.verify();
  CHECK(gone.layers == 0);
  CHECK(gone.unchecked == 3);
  CHECK(gone.damaged.empty());
}

TEST_CASE("verify: what cannot be repaired is said, and it may be given up") {
  if (support::missing_root()) return;
  scene here;
  here.provide();
  here.damage(here.blob_of("schemaVersion"), 20);
  mortise::sys::remove_tree(here.layout.path()).IgnoreError();
  const verification found = here.verify(true);
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems.front().find("open image '" + here.location) == 0);
  const std::atomic<bool> cancelled = true;
  verify_options options;
  options.cancelled = &cancelled;
  CHECK(absl::IsCancelled(here.store.verify<overlay_layers>(options).status()));
}
