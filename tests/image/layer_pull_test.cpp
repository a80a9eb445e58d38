// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/layer_pull.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <vector>

using mortise::image::progress;
using support::gzip_layer;
using support::plain_layer;
using support::store_fixture;
using support::tar_builder;
using support::zstd_layer;
namespace media = mortise::image::media;

namespace {

std::string file_tar(const std::string& name, const std::string& content = "content") {
  return tar_builder().directory("./").file(name, content).text();
}

/// Provides an image of one layer that is `layer`, but whose blob lies there as `blob`.
std::string refusal(const support::test_layer& layer, const std::string& blob) {
  store_fixture here;
  here.layout.write_image({layer});
  support::write_file(here.layout.blob_path(layer.blob), blob);
  const std::string said = here.provide();
  CHECK(here.tidy());
  CHECK(here.by_diff_id() == 0);
  CHECK(support::names_in(here.directory + "/images").empty());
  return said;
}

bool has(const std::string& said, std::string_view part) {
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("layer_pull: plain, gzip and zstd layers, whatever their type says") {
  store_fixture here;
  support::test_layer mislabelled = gzip_layer(file_tar("four"));
  mislabelled.type = media::oci_layer;
  here.layout.write_image(
      {plain_layer(file_tar("one")), gzip_layer(file_tar("two")), zstd_layer(file_tar("three")), mislabelled});
  REQUIRE(here.provide() == "");
  REQUIRE(here.image->layers.size() == 4);
  const char* const names[] = {"one", "two", "three", "four"};
  for (std::size_t at = 0; at < 4; ++at) {
    const auto& layer = here.image->layers[at];
    CHECK(layer.diff_id == here.image->config.diff_ids[at]);
    CHECK(support::read_file(layer.directory + '/' + names[at]) == "content");
  }
  CHECK(here.tidy());
  CHECK(here.by_diff_id() == 4);
}

TEST_CASE("layer_pull: altered, truncated and wrong blobs are refused, and leave nothing") {
  const std::string tar = file_tar("file", support::sample_text(100'000));
  for (const support::test_layer& layer : {plain_layer(tar), gzip_layer(tar), zstd_layer(tar)}) {
    std::string altered = layer.blob;
    altered[altered.size() / 2] ^= 1;
    CHECK(has(refusal(layer, altered), "unpack layer 1 of 1 ("));
    CHECK(has(refusal(layer, layer.blob.substr(0, layer.blob.size() / 2)), "unpack layer 1 of 1 ("));
    CHECK(has(refusal(layer, layer.blob + 'x'), "unpack layer 1 of 1 ("));
    CHECK(has(refusal(layer, ""), "unpack layer 1 of 1 ("));
  }
  const support::test_layer plain = plain_layer(tar);
  std::string altered = tar;
  altered[3000] ^= 1;
  CHECK(has(refusal(plain, altered), "its digest is " + support::sha256(altered)));
  CHECK(has(refusal(plain, tar + 'x'), mortise::concat("longer than the ", tar.size(), " bytes expected")));
}

TEST_CASE("layer_pull: a diff ID that is not the content's is refused") {
  for (const bool packed : {false, true}) {
    support::test_layer layer = packed ? gzip_layer(file_tar("file")) : plain_layer(file_tar("file"));
    layer.tar = file_tar("another");
    store_fixture here;
    here.layout.write_image({layer});
    CHECK(has(here.provide(), "verify diff ID: its digest is " + support::sha256(file_tar("file")) + ", expected " +
                                  support::sha256(layer.tar)));
    CHECK(here.tidy());
    CHECK(here.by_diff_id() == 0);
  }
}

TEST_CASE("layer_pull: what follows the tar's end belongs to its digest") {
  store_fixture here;
  const std::string tar = file_tar("file") + std::string(100'000, '\0') + "trailing";
  here.layout.write_image({gzip_layer(tar), plain_layer(tar + "more")});
  CHECK(here.provide() == "");
}

TEST_CASE("layer_pull: a tar without padding and end, as umoci inserts it, is taken") {
  store_fixture here;
  const std::string padded = tar_builder().file("file", "abc").open_end();
  here.layout.write_image({gzip_layer(padded.substr(0, padded.size() - 509))});
  REQUIRE(here.provide() == "");
  CHECK(support::read_file(here.image->layers.front().directory + "/file") == "abc");
}

TEST_CASE("layer_pull: hostile tars are refused with the entry's name, and write nothing outside") {
  if (support::missing_root()) return;
  const support::temporary_directory outside;
  const auto refused = [&](const tar_builder& tar) {
    store_fixture here;
    here.layout.write_image({gzip_layer(tar.text())});
    std::string said = here.provide();
    CHECK(here.tidy());
    CHECK(here.by_diff_id() == 0);
    CHECK(support::names_in(outside.path()).empty());
    return said;
  };
  CHECK(has(refused(tar_builder().file("../../escape", "x")), "unpack '../../escape'"));
  CHECK(has(refused(tar_builder().symlink("out", outside.path()).file("out/escape", "x")), "symbolic link"));
  CHECK(has(refused(tar_builder().hard_link("passwd", "../../../../etc/passwd")), "link to '../../../../etc/passwd'"));
  CHECK(has(refused(tar_builder().symlink("./", outside.path())), "the root is a symbolic link"));
  CHECK(has(refused(tar_builder().add({.name = "null", .type = '3'})), "device 0:0"));
  CHECK(has(refused(tar_builder().add({.name = "big", .size = std::uint64_t{1} << 50})), "unpack 'big'"));
}

TEST_CASE("layer_pull: a layer that takes something from those below is kept by chain, others are shared") {
  store_fixture here;
  const auto base = [](unsigned mode) {
    return plain_layer(tar_builder().directory("./").directory("d/", mode).text());
  };
  const auto top = gzip_layer(tar_builder().directory("./").file("d/file", "x").text());  // implies its parent
  const auto apart = gzip_layer(file_tar("other"));
  here.layout.write_image({base(0700), top, apart});
  REQUIRE(here.provide() == "");
  const std::string first = here.image->layers[1].directory;
  const std::string shared = here.image->layers[2].directory;
  here.layout.write_image({base(0750), top, apart});
  REQUIRE(here.provide() == "");
  CHECK(here.image->layers[1].directory != first);
  CHECK(here.image->layers[2].directory == shared);
  CHECK(here.by_diff_id() == 3);
  CHECK(here.by_chain_id() == 2);
  struct stat about{};
  REQUIRE(::stat((here.image->layers[1].directory + "/d").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0750);
}

TEST_CASE("layer_pull: a layer that does not name its root takes it from below") {
  if (support::missing_root()) return;
  store_fixture here;
  tar_builder base;
  base.add({.name = "./", .type = '5', .mode = 01770, .uid = 12, .gid = 34});
  here.layout.write_image({plain_layer(base.text()), gzip_layer(tar_builder().file("a").text()),
                           gzip_layer(tar_builder().file("b").text())});
  REQUIRE(here.provide() == "");
  struct stat about{};
  REQUIRE(::stat(here.image->layers.back().directory.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 01770);
  CHECK(about.st_uid == 12);
  CHECK(about.st_mtim.tv_sec == 1'000'000'000);
  CHECK(here.by_chain_id() == 2);
}

TEST_CASE("layer_pull: layers that an opaque root hides are left out") {
  store_fixture here;
  here.layout.write_image({plain_layer(file_tar("hidden")),
                           gzip_layer(tar_builder().file(".wh..wh..opq").file("seen").text()),
                           gzip_layer(file_tar("top"))});
  for (int turn = 0; turn < 2; ++turn) {
    REQUIRE(here.provide() == "");
    REQUIRE(here.image->layers.size() == 2);
    CHECK(::access((here.image->layers.front().directory + "/seen").c_str(), F_OK) == 0);
    CHECK(here.image->layers[0].opaque_root == true);
    CHECK(here.image->layers[1].opaque_root == false);
  }
}

TEST_CASE("layer_pull: one layer several times, and no layer at all") {
  store_fixture here;
  const auto implied = gzip_layer(tar_builder().file("d/file", "x").text());
  here.layout.write_image({implied, implied, plain_layer(file_tar("a")), implied, plain_layer(file_tar("a"))});
  REQUIRE(here.provide({.jobs = 4}) == "");
  CHECK(here.image->layers.size() == 5);
  here.layout.write_image({});
  REQUIRE(here.provide() == "");
  CHECK(here.image->layers.empty());
}

TEST_CASE("layer_pull: the layer at fault is named, however many are unpacked beside it") {
  for (const unsigned jobs : {1U, 4U}) {
    store_fixture here;
    std::vector<support::test_layer> layers;
    for (int each = 0; each < 8; ++each)
      layers.push_back(gzip_layer(tar_builder().file("d/" + std::to_string(each), "x").text()));
    here.layout.write_image(layers);
    support::write_file(here.layout.blob_path(layers[2].blob), "garbage");
    CHECK(has(here.provide({.jobs = jobs}), "unpack layer 3 of 8"));
    CHECK(here.tidy());
    support::write_file(here.layout.blob_path(layers[2].blob), layers[2].blob);
    CHECK(here.provide({.jobs = jobs}) == "");
  }
}

TEST_CASE("layer_pull: foreign layers are taken where they lie, and named where they do not") {
  store_fixture here;
  support::test_layer foreign = gzip_layer(file_tar("file"));
  foreign.type = mortise::concat(media::oci_foreign_layer, "+gzip");
  here.layout.write_image({foreign});
  CHECK(here.provide() == "");
  store_fixture bare;
  bare.layout.write_image({foreign});
  REQUIRE(::unlink(bare.layout.blob_path(foreign.blob).c_str()) == 0);
  CHECK(has(bare.provide(), "its content is foreign"));
}

TEST_CASE("layer_pull: progress begins, rises and ends for each layer; a second time everything is there") {
  store_fixture here;
  here.layout.write_image({plain_layer(file_tar("a", support::sample_text(3'000'000))), gzip_layer(file_tar("b"))});
  std::vector<progress> heard;
  REQUIRE(here.provide({}, &heard) == "");
  for (const std::size_t layer : {0U, 1U}) {
    std::uint64_t last = 0;
    std::vector<progress::stage> stages;
    for (const progress& each : heard) {
      if (each.layer != layer) continue;
      CHECK(each.layers == 2);
      CHECK_FALSE(each.cached);
      CHECK(each.done >= last);
      CHECK(each.done <= each.total);
      last = each.done;
      if (stages.empty() || stages.back() != each.now) stages.push_back(each.now);
    }
    CHECK(stages == std::vector{progress::stage::waiting, progress::stage::unpacking, progress::stage::ready});
  }
  heard.clear();
  REQUIRE(here.provide({}, &heard) == "");
  REQUIRE(heard.size() == 2);
  CHECK(heard[0].cached);
  CHECK(heard[1].now == progress::stage::ready);
}

TEST_CASE("layer_pull: the caller may give up") {
  store_fixture here;
  here.layout.write_image({gzip_layer(file_tar("a"))});
  const std::atomic<bool> cancelled = true;
  const auto given_up = support::provide(here.directory, here.location, {.cancelled = &cancelled});
  CHECK(absl::IsCancelled(given_up.status()));
  CHECK(here.tidy());
  CHECK(here.provide() == "");
}

TEST_CASE("layer_pull: thousands of layers that take something from those below open each of those once") {
  constexpr rlim_t files = 4'500;
  rlimit allowed{};
  if (::getrlimit(RLIMIT_NOFILE, &allowed) == 0 && allowed.rlim_max < files)
    return support::skip("needs a hard limit of 4500 open files: see ulimit -Hn");
  store_fixture here;
  std::vector<support::test_layer> layers{plain_layer(tar_builder().directory("./", 0700).text())};
  for (int each = 0; each < 4'000; ++each)
    layers.push_back(plain_layer(tar_builder().file("f" + std::to_string(each)).text()));
  here.layout.write_image(layers);
  const auto outcome =
      support::in_child({.limits = {{RLIMIT_NOFILE, files}}, .cpu_seconds = 10}, [&] { return here.provide(); });
  CHECK(outcome.text == "");
  CHECK(outcome.signal == 0);  // else SIGXCPU
}
