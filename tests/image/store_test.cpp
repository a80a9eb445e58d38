// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/store.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chrono>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <string>
#include <string_view>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

using mortise::message;
using support::gzip_layer;
using support::local_store;
using support::plain_layer;
using support::store_fixture;
using support::tar_builder;
namespace media = mortise::image::media;

static_assert(mortise::image::provides<local_store, mortise::model::overlay_layers>);
static_assert(mortise::image::provides<local_store, mortise::model::unprivileged_overlay_layers>);

namespace {

bool has(const std::string& said, std::string_view part) {
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

/// `count` layers of some files each; every second one implies a directory of those below.
std::vector<support::test_layer> many_layers(int count, int files = 40) {
  std::vector<support::test_layer> out;
  for (int layer = 0; layer < count; ++layer) {
    tar_builder tar;
    tar.directory("./");
    if (layer % 2 == 0) tar.directory("d/", 0750);
    for (int file = 0; file < files; ++file)
      tar.file(mortise::concat("d/", layer, '-', file), support::sample_text(static_cast<std::size_t>(file) * 97));
    tar.hard_link(mortise::concat("d/link-", layer), mortise::concat("d/", layer, "-1"));
    if (layer > 0) tar.file(mortise::concat("d/.wh.", layer - 1, "-0"));
    out.push_back(layer % 3 == 0 ? plain_layer(tar.text()) : gzip_layer(tar.text()));
  }
  return out;
}

}  // namespace

TEST_CASE("store: a location that no source takes is refused with the forms that are") {
  store_fixture here;
  const auto image = support::provide(here.directory, "busybox");
  CHECK(message(image.status()) ==
        "open image 'busybox': no source of this store takes it (write oci:PATH[:TAG] or docker-archive:PATH[:REF])");
  CHECK(has(std::string(message(support::provide(here.directory, "oci:/nowhere:x").status())),
            "open image 'oci:/nowhere:x': open '/nowhere': No such file"));
}

TEST_CASE("store: the platform that is asked for decides, and a missing one lists what there is") {
  store_fixture here;
  const std::string arm = here.layout.put_image({plain_layer(tar_builder().file("arm").text())}, {}, "arm64");
  const std::string amd = here.layout.put_image({plain_layer(tar_builder().file("amd").text())}, {}, "amd64");
  const std::string index = here.layout.put(
      support::index_text({support::descriptor(media::oci_manifest, arm, support::for_platform("linux", "arm64")),
                           support::descriptor(media::oci_manifest, amd, support::for_platform("linux", "amd64"))}));
  here.layout.write_index({support::descriptor(media::oci_index, index, support::tagged("latest"))});
  REQUIRE(here.provide({.platform = mortise::model::platform{"linux", "arm64", "", {}}}) == "");
  CHECK(here.image->manifest->text() == support::sha256(arm));
  REQUIRE(here.provide({.platform = mortise::model::platform{"linux", "amd64", "v3", {}}}) == "");
  CHECK(here.image->manifest->text() == support::sha256(amd));
  CHECK(has(here.provide({.platform = mortise::model::platform{"linux", "s390x", "", {}}}),
            "choose an image for linux/s390x: it is offered for linux/amd64, linux/arm64"));
}

TEST_CASE("store: an image that says another platform than its index is taken with a warning") {
  store_fixture here;
  const std::string arm = here.layout.put_image({plain_layer(tar_builder().file("a").text())}, {}, "arm64");
  here.layout.write_index({support::descriptor(
      media::oci_manifest, arm, mortise::concat(support::tagged("latest"), support::for_platform("linux", "amd64")))});
  std::vector<std::string> heard;
  REQUIRE(here.provide({.platform = mortise::model::platform{"linux", "amd64", "", {}},
                        .warn = [&heard](std::string_view text) { heard.emplace_back(text); }}) == "");
  CHECK(heard == std::vector<std::string>{here.location + ": its index has it for linux/amd64, and its configuration "
                                                          "says linux/arm64: it may not run"});
  CHECK(here.provide({.platform = mortise::model::platform{"linux", "amd64", "", {}}}) == "");  // nobody needs to hear
}

TEST_CASE("store: images are remembered by location, listed and forgotten") {
  store_fixture here;
  const std::string manifest = here.layout.write_image({plain_layer(tar_builder().file("a").text())});
  REQUIRE(here.provide() == "");
  auto store = local_store::open(here.directory);
  REQUIRE(store.ok());
  const auto images = store->list();
  REQUIRE(images.ok());
  REQUIRE(images->size() == 1);
  CHECK(images->front().location == here.location);
  CHECK(images->front().manifest.text() == support::sha256(manifest));
  CHECK(support::read_file(here.directory + "/blobs/sha256/" + support::sha256(manifest).substr(7)) == manifest);
  CHECK(store->remove(here.location).value());
  CHECK_FALSE(store->remove(here.location).value());
  CHECK(store->list()->empty());
}

TEST_CASE("store: an unchanged archive is not read again, a changed one is") {
  store_fixture here;
  const std::string path = here.place / "a.tar";
  const auto write = [&](const std::string& author) {
    const auto layer = plain_layer(tar_builder().file("file", author).text());
    tar_builder tar;
    tar.file("c", support::config_text({layer}, mortise::concat(R"(,"author":")", author, '"'))).file("l", layer.tar);
    tar.file("manifest.json", R"([{"Config":"c","RepoTags":["a:1"],"Layers":["l"]}])");
    support::write_file(path, tar.text());
  };
  const auto author = [&] {
    const auto image = support::provide(here.directory, "docker-archive:" + path);
    return image.ok() ? image->config.author : std::string(message(image.status()));
  };
  write("first");
  CHECK(author() == "first");
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));  // younger files are always read again
  CHECK(author() == "first");
  const auto records = support::names_in(here.directory + "/images");
  REQUIRE(records.size() == 1);
  CHECK(has(support::read_file(here.directory + "/images/" + records.front()), "fingerprint "));
  CHECK(author() == "first");
  for (const std::string& blob : support::names_in(here.directory + "/blobs/sha256"))
    support::write_file(here.directory + "/blobs/sha256/" + blob, "damaged");
  CHECK(author() == "first");  // read from the archive once more
  write("second");
  CHECK(author() == "second");
}

TEST_CASE("store: layers that a power cut may have damaged are unpacked again") {
  store_fixture here;
  here.layout.write_image(many_layers(4));
  REQUIRE(here.provide() == "");
  const support::tree_listing before(here.image->layers.back().directory);
  for (const mortise::model::layer& each : here.image->layers) {
    const std::string record = each.directory.substr(0, each.directory.rfind('/')) + "/record";
    auto parsed = mortise::image::layer_record::parse(support::read_file(record));
    REQUIRE(parsed.has_value());
    parsed->boot = "the one before";
    support::write_file(record, parsed->text());
    REQUIRE(mortise::sys::remove_tree(each.directory + "/d").ok());
  }
  REQUIRE(here.provide() == "");
  CHECK(support::tree_listing(here.image->layers.back().directory).lines() == before.lines());
  CHECK(here.tidy());
  CHECK(local_store::open(here.directory)->settle().ok());
  CHECK(here.provide() == "");
}

TEST_CASE("store: two processes that want one image do the work once") {
  store_fixture here;
  const auto layers = many_layers(8, 200);
  here.layout.write_image(layers);
  std::vector<std::thread> starters;
  std::vector<support::child_result> results(4);
  const auto count_made = [&] {
    std::vector<mortise::image::progress> heard;
    const auto image = support::provide(here.directory, here.location, {.jobs = 2}, &heard);
    std::size_t made = 0;
    for (const auto& each : heard) made += each.now == mortise::image::progress::stage::ready && !each.cached;
    return image.ok() ? std::to_string(made) : std::string(message(image.status()));
  };
  for (auto& result : results) starters.emplace_back([&] { result = support::in_child(count_made); });
  for (auto& each : starters) each.join();
  std::size_t made = 0;
  for (const auto& result : results) {
    CAPTURE(result.text);
    REQUIRE(result.code == 0);
    made += mortise::parse_number<std::size_t>(result.text).value_or(1000);
  }
  CHECK(made == layers.size());
  CHECK(here.tidy());
}

TEST_CASE("store: threads of one process share it too") {
  store_fixture here;
  here.layout.write_image(many_layers(6));
  auto store = local_store::open(here.directory);
  REQUIRE(store.ok());
  std::vector<absl::Status> outcomes(4);
  {
    std::vector<std::jthread> threads;
    for (auto& outcome : outcomes)
      threads.emplace_back([&] { outcome = store->provide<mortise::model::overlay_layers>(here.location).status(); });
  }
  for (const auto& outcome : outcomes) CHECK(outcome.ok());
  CHECK(here.tidy());
}

TEST_CASE("store: images with the same layers in opposite orders do not wait for each other") {
  store_fixture here;
  const auto layers = many_layers(6);
  const std::vector<support::test_layer> reversed(layers.rbegin(), layers.rend());
  const std::string one = here.layout.put_image(layers);
  const std::string other = here.layout.put_image(reversed);
  here.layout.write_index({support::descriptor(media::oci_manifest, one, support::tagged("one")),
                           support::descriptor(media::oci_manifest, other, support::tagged("other"))});
  std::vector<absl::Status> outcomes(2);
  {
    std::vector<std::jthread> threads;
    for (const std::size_t each : {0U, 1U})
      threads.emplace_back([&, each] {
        outcomes[each] =
            support::provide(here.directory, "oci:" + here.layout.path() + (each == 0 ? ":one" : ":other"), {.jobs = 3})
                .status();
      });
  }
  for (const auto& outcome : outcomes) CHECK(message(outcome) == "");
}

TEST_CASE("store: killed at any moment, the next pull succeeds and nothing is left over") {
  store_fixture here;
  here.layout.write_image(many_layers(6, 120));
  const auto started = std::chrono::steady_clock::now();
  REQUIRE(support::provide(here.place / "reference", here.location).ok());
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started);
  const auto expected = support::provide(here.place / "reference", here.location);
  constexpr int turns = 15;
  for (int turn = 0; turn < turns; ++turn) {
    const std::string directory = here.place / mortise::concat("killed-", turn);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(support::provide(directory, here.location, {.jobs = 2}).ok() ? 0 : 1);
    std::this_thread::sleep_for(whole * turn / turns);
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    const auto image = support::provide(directory, here.location);
    CAPTURE(turn);
    REQUIRE(message(image.status()) == "");
    CHECK(support::names_in(directory + "/staging").empty());
    CHECK(support::names_in(directory + "/locks").empty());
    for (std::size_t layer = 0; layer < image->layers.size(); ++layer)
      CHECK(support::differences(image->layers[layer].directory, expected->layers[layer].directory) == "");
  }
}

TEST_CASE("store: a full disk is reported, and frees what it took") {
  if (support::missing_root()) return;
  store_fixture here;
  here.layout.write_image({gzip_layer(tar_builder().file("big", support::sample_noise(3 << 20)).text())});
  const support::temporary_tmpfs disk(2 << 20);
  const auto image = support::provide(disk / "store", here.location);
  CHECK(mortise::errno_of(image.status()) == ENOSPC);
  CHECK(has(std::string(message(image.status())), "No space left on device"));
  CHECK(support::names_in(disk / "store/staging").empty());
  CHECK(support::names_in(disk / "store/layers/overlay").empty());
  const support::temporary_tmpfs few(16 << 20, 30);
  here.layout.write_image(many_layers(2));
  CHECK(mortise::errno_of(support::provide(few / "store", here.location).status()) == ENOSPC);
  CHECK(support::names_in(few / "store/staging").empty());
}

TEST_CASE("store: too few file descriptors are reported") {
  store_fixture here;
  here.layout.write_image(many_layers(3));
  const support::child_options few{.limits = {{RLIMIT_NOFILE, 9}}};
  const auto result = support::in_child(few, [&] { return support::provide(here.directory, here.location).status(); });
  CHECK(result.code == 1);
  CHECK(has(result.text, "Too many open files"));
  CHECK(here.provide() == "");
  CHECK(here.tidy());
}

TEST_CASE("store: without privileges images are unpacked in the form for that") {
  if (support::missing_root()) return;
  store_fixture here;
  here.layout.write_image(many_layers(3));
  const std::string home = here.place / "home";
  REQUIRE(::mkdir(home.c_str(), 0755) == 0);
  REQUIRE(::chown(home.c_str(), support::nobody, support::nobody) == 0);
  const auto result = support::in_child({.uid = support::nobody}, [&] {
    auto store = local_store::open(home + "/store");
    if (!store.ok()) return store.status();
    return store->provide<mortise::model::unprivileged_overlay_layers>(here.location).status();
  });
  CHECK(result.text == "");
  CHECK(result.code == 0);
  const auto closed = support::in_child({.uid = support::nobody},
                                        [&] { return support::provide(here.directory, here.location).status(); });
  CHECK(has(closed.text, "Permission denied"));
}

TEST_CASE("store: a kernel without openat2 is enough") {
  store_fixture here;
  here.layout.write_image(many_layers(3));
  const auto result =
      support::deny({SYS_openat2}, ENOSYS, [&] { return support::provide(here.directory, here.location).status(); });
  CHECK(result.text == "");
  CHECK(result.code == 0);
}

TEST_CASE("store: nothing stays open") {
  store_fixture here;
  here.layout.write_image(many_layers(3));
  const support::leak_snapshot before("of no one");
  CHECK(here.provide() == "");
  CHECK(here.provide() == "");
  here.image.reset();  // what is provided is leased as long as it is held
  CHECK(before.leaked() == "");
}
