// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/packed_image.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <mortise/image/usage.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <rootfs/smallest_image.hpp>
#include <string>
#include <support/skip.hpp>
#include <thread>
#include <vector>

using namespace mortise;
using mortise::model::erofs_layers;
using mortise::model::overlay_layers;
using support::gzip_layer;
using support::local_store;
using support::plain_layer;
using support::store_fixture;
using support::tar_builder;
using support::zstd_layer;

namespace {

std::vector<support::test_layer> three_layers() {
  return {gzip_layer(tar_builder().directory("./").directory("d/", 0711).file("d/low", "low").file("gone").text()),
          zstd_layer(tar_builder().directory("./").file("d/high", std::string(5000, 'h')).file(".wh.gone").text()),
          plain_layer(tar_builder().directory("./", 0750).hard_link("link", "d/low").file("top", "top").text())};
}

absl::StatusOr<model::image> pack(const store_fixture& here, const image::provide_options& options = {}) {
  MORTISE_ASSIGN_OR_RETURN(local_store store, local_store::open(here.directory));
  return store.provide<erofs_layers>(here.location, options);
}

/// The image's root as the kernel shows it.
std::string shown(const model::image& what) {
  const auto directory = sys::open(what.layers.front().directory, O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  const auto tree = rootfs::mount_erofs(directory->get());
  REQUIRE_MESSAGE(tree.ok(), message(tree.status()));
  const support::tree_listing all("/proc/self/fd/" + std::to_string(tree->get()));
  std::string out;
  for (const auto& [path, line] : all.lines()) append(out, path, ' ');
  return out;
}

}  // namespace

TEST_CASE("packed_image: an image is one layer, whose tars stay what they are") {
  store_fixture here;
  const auto layers = three_layers();
  here.layout.write_image(layers);
  const auto image = pack(here);
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  REQUIRE(image->layers.size() == 1);
  const std::string& directory = image->layers.front().directory;
  CHECK(image->layers.front().diff_id == image->config.diff_ids.back());
  CHECK(support::names_in(directory).size() == 4);
  for (std::size_t at = 0; at < 3; ++at)
    CHECK(support::sha256(support::read_file(directory + '/' + std::to_string(at))) ==
          image->config.diff_ids[at].text());
  CHECK(here.tidy());
  CHECK(support::names_in(here.directory + "/layers/erofs").size() == 3);
  if (support::missing_root() || support::missing_erofs()) return;
  CHECK(shown(*image) == ". d d/high d/low link top ");
}

TEST_CASE("packed_image: what is there is not made again, and images share their layers") {
  store_fixture here;
  const auto layers = three_layers();
  here.layout.write_image(layers);
  const auto first = pack(here);
  REQUIRE(first.ok());
  struct stat before{};
  struct stat after{};
  REQUIRE(::stat((first->layers.front().directory + "/index").c_str(), &before) == 0);
  const auto second = pack(here);
  REQUIRE(second.ok());
  CHECK(second->layers.front().directory == first->layers.front().directory);
  REQUIRE(::stat((first->layers.front().directory + "/index").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  here.layout.write_image({layers[0], layers[1]});
  const auto shorter = pack(here);
  REQUIRE(shorter.ok());
  CHECK(shorter->layers.front().directory != first->layers.front().directory);
  CHECK(support::names_in(here.directory + "/layers/erofs").size() == 3);
  REQUIRE(::stat((first->layers.front().directory + "/0").c_str(), &before) == 0);
  REQUIRE(::stat((shorter->layers.front().directory + "/0").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
}

TEST_CASE("packed_image: another backend's form is made of the tars, without the blobs") {
  store_fixture here;
  const auto layers = three_layers();
  here.layout.write_image(layers);
  REQUIRE(pack(here).ok());
  for (const auto& each : layers) REQUIRE(::unlink(here.layout.blob_path(each.blob).c_str()) == 0);
  CHECK(here.provide() == "");
  REQUIRE(here.image);
  CHECK(support::read_file(here.image->layers[0].directory + "/d/low") == "low");
  auto store = *local_store::open(here.directory);
  const auto for_aufs = store.provide<mortise::model::aufs_layers>(here.location, {});
  REQUIRE_MESSAGE(for_aufs.ok(), message(for_aufs.status()));
  CHECK(support::read_file(for_aufs->layers[0].directory + "/d/low") == "low");
  CHECK(here.tidy());
}

TEST_CASE("packed_image: an index that is gone, or of another version, is made again; nothing else is") {
  store_fixture here;
  const auto layers = three_layers();
  here.layout.write_image(layers);
  const auto image = pack(here);
  REQUIRE(image.ok());
  const std::string chains = here.directory + "/chains/erofs-" + std::to_string(erofs::index_version);
  REQUIRE(::rename(chains.c_str(), (here.directory + "/chains/erofs-0").c_str()) == 0);
  for (const auto& each : layers) REQUIRE(::unlink(here.layout.blob_path(each.blob).c_str()) == 0);
  const auto again = pack(here);
  REQUIRE_MESSAGE(again.ok(), message(again.status()));
  CHECK(again->layers.front().directory == image->layers.front().directory);
}

TEST_CASE("packed_image: a layer that cannot be is refused, and leaves nothing") {
  store_fixture here;
  here.layout.write_image(
      {gzip_layer(tar_builder().file("fine").text()), gzip_layer(tar_builder().file("../x").text())});
  const auto image = pack(here);
  CHECK(message(image.status()).find("layer 2 of 2: index '../x': its name contains '..'") != std::string_view::npos);
  CHECK(here.tidy());
  CHECK(support::names_in(here.directory + "/chains").empty());
  std::atomic<bool> stop = true;
  here.layout.write_image(three_layers());
  CHECK(absl::IsCancelled(pack(here, {.cancelled = &stop}).status()));
  CHECK(here.tidy());
}

TEST_CASE("packed_image: verify hashes the tars and makes the index again, and repair mends both") {
  store_fixture here;
  here.layout.write_image(three_layers());
  auto image = pack(here);
  REQUIRE(image.ok());
  auto store = *local_store::open(here.directory);
  const auto verify = [&store](bool repair) {
    image::verify_options options;
    options.repair = repair;
    auto out = store.verify<erofs_layers>(options);
    REQUIRE(out.ok());
    return *std::move(out);
  };
  CHECK(verify(false).damaged.empty());
  CHECK(verify(false).layers == 3);
  const auto damage = [](const std::string& path) {
    std::string text = support::read_file(path);
    text[text.size() / 2] ^= 1;
    const sys::unique_fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(sys::write_all(file.get(), text).ok());
  };
  damage(image->layers.front().directory + "/index");
  REQUIRE(verify(false).damaged.size() == 1);
  CHECK(verify(false).damaged.front().why == "its index is not the one that its layers give");
  const std::string held = image->layers.front().directory;
  {
    const auto mended = verify(true);
    REQUIRE(mended.problems.size() == 1);
    CHECK(mended.problems.front().find("in use") != std::string::npos);
  }
  image = absl::UnknownError("no longer held");
  damage(held + "/1");
  const auto found = verify(true);
  REQUIRE(found.damaged.size() == 2);
  for (const auto& each : found.damaged) CHECK_MESSAGE(each.removed, each.name, ": ", each.why);
  CHECK(found.pulled == std::vector<std::string>{here.location});
  CHECK(verify(false).damaged.empty());
  image = pack(here);
  REQUIRE(image.ok());
  CHECK(support::sha256(support::read_file(held + "/1")) == image->config.diff_ids[1].text());
}

TEST_CASE("packed_image: killed at any moment, the next pull succeeds and nothing is left over") {
  store_fixture here;
  std::vector<support::test_layer> layers;
  for (int layer = 0; layer < 6; ++layer) {
    tar_builder tar;
    for (int file = 0; file < 120; ++file)
      tar.file(concat("d/", layer, '-', file), support::sample_text(static_cast<std::size_t>(file) * 97));
    layers.push_back(gzip_layer(tar.text()));
  }
  here.layout.write_image(layers);
  const auto started = std::chrono::steady_clock::now();
  const auto expected = pack(here);
  REQUIRE(expected.ok());
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started);
  const std::string index = support::read_file(expected->layers.front().directory + "/index");
  for (int turn = 0; turn < 15; ++turn) {
    here.directory = here.place / concat("killed-", turn);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(pack(here).ok() ? 0 : 1);
    std::this_thread::sleep_for(whole * turn / 15);
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    const auto image = pack(here);
    CAPTURE(turn);
    REQUIRE(message(image.status()) == "");
    CHECK(here.tidy());
    CHECK(support::read_file(image->layers.front().directory + "/index") == index);
  }
}

TEST_CASE("packed_image: the collector leaves what an image needs, and takes the rest") {
  store_fixture here;
  here.layout.write_image(three_layers());
  REQUIRE(pack(here).ok());
  auto store = *local_store::open(here.directory);
  REQUIRE(store.collect().ok());
  CHECK(support::names_in(here.directory + "/layers/erofs").size() == 3);
  CHECK(pack(here).ok());
  REQUIRE(*store.remove(here.location));
  const auto gone = store.collect();
  REQUIRE(gone.ok());
  CHECK(gone->freed > 0);
  CHECK(support::names_in(here.directory + "/layers/erofs").empty());
  const auto left = image::measure(store.directory());
  REQUIRE(left.ok());
  CHECK(left->layers == 0);
}
