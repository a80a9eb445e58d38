// SPDX-License-Identifier: Apache-2.0
// What a store makes of images whose blobs have to be fetched.
#include <mortise/image/store.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <conformance/killed_at.hpp>
#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <mutex>
#include <string>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

namespace {

using mortise::image::progress;
using support::gzip_layer;
using support::plain_layer;
using support::tar_builder;
using support::zstd_layer;
using remote_store = mortise::image::store<support::remote_source>;

std::vector<support::test_layer> some_layers() {
  std::vector<support::test_layer> out;
  for (int at = 0; at < 5; ++at) {
    tar_builder tar;
    tar.directory("./").directory("d/");
    for (int file = 0; file < 30; ++file)
      tar.file(mortise::concat("d/", at, '-', file), support::sample_text(static_cast<std::size_t>(file) * 997));
    if (at > 0) tar.hard_link(mortise::concat("d/link-", at), mortise::concat("d/", at - 1, "-1"));
    out.push_back(at == 1 ? plain_layer(tar.text()) : at == 2 ? zstd_layer(tar.text()) : gzip_layer(tar.text()));
  }
  return out;
}

struct scene {
  support::store_fixture local;
  support::remote_source source;
  std::vector<progress> heard;
  std::string location = "remote:" + local.layout.path() + ":latest";
  std::string directory = local.place / "remote-store";

  scene() { local.layout.write_image(some_layers()); }

  std::string provide(const mortise::image::provide_options& options = {}) {
    auto store = remote_store::open(directory, source);
    REQUIRE(store.ok());
    auto image = store->provide<mortise::model::overlay_layers>(
        location, options, [this](const progress& each) { heard.push_back(each); });
    if (!image.ok()) return std::string(mortise::message(image.status()));
    layers = image->layers;
    return {};
  }
  /// Whether what was made is what a local pull makes.
  bool is_right() {
    if (local.provide() != "") return false;
    bool same = layers.size() == local.image->layers.size();
    for (std::size_t at = 0; same && at < layers.size(); ++at)
      same = support::differences(layers[at].directory, local.image->layers[at].directory).empty();
    return same;
  }
  std::size_t count(const std::string& part) const { return support::names_in(directory + "/" + part).size(); }

  mortise::model::layers layers;
};

}  // namespace

TEST_CASE("remote pull: layers are fetched and unpacked at once, told of, and their blobs kept") {
  if (support::missing_root()) return;
  scene here;
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
  CHECK(here.count("blobs/sha256") == 5 + 2);
  CHECK(here.count("partial") == 0);
  CHECK(here.count("locks") == 0);
  CHECK(here.count("staging") == 0);
  std::size_t fetched = 0;
  for (const progress& each : here.heard)
    if (each.now == progress::stage::fetching && each.done == each.total) ++fetched;
  CHECK(fetched == 5);
  CHECK(here.heard.back().now == progress::stage::ready);
  here.source.how->calls = 0;
  REQUIRE(here.provide() == "");
  CHECK(here.source.how->calls == 0);
}

TEST_CASE("remote pull: what is remembered is taken without a question, unless one is wanted") {
  if (support::missing_root()) return;
  scene here;
  using mortise::image::refresh;
  CHECK(here.provide({.refresh = refresh::never}).find("it is not in the store for linux/") != std::string::npos);
  REQUIRE(here.provide() == "");
  const auto first = here.layers;
  here.local.layout.write_image({plain_layer(tar_builder().directory("./").file("moved").text())});
  REQUIRE(here.provide() == "");
  CHECK(here.layers.size() == first.size());
  REQUIRE(here.provide({.refresh = refresh::always}) == "");
  CHECK(here.layers.size() == 1);
  REQUIRE(here.provide({.refresh = refresh::never}) == "");
  CHECK(here.layers.size() == 1);
  here.local.layout.write_index({});
  REQUIRE(here.provide() == "");
  CHECK(here.provide({.refresh = refresh::always}) != "");
}

TEST_CASE("remote pull: an unpacked layer that was lost is made again from its blob") {
  if (support::missing_root()) return;
  scene here;
  REQUIRE(here.provide() == "");
  for (const char* const part : {"layers/overlay", "chains/overlay"})
    mortise::sys::remove_tree(here.directory + "/" + part).IgnoreError();
  here.source.how->calls = 0;
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
  CHECK(here.source.how->calls == 0);
}

TEST_CASE_TEMPLATE("remote pull: what one backend had fetched the others' forms are made of", First,
                   mortise::model::overlay_layers, mortise::model::erofs_layers, mortise::model::aufs_layers) {
  if (support::missing_root()) return;
  const scene here;
  auto store = remote_store::open(here.directory, here.source);
  REQUIRE(store.ok());
  REQUIRE(mortise::message(store->provide<First>(here.location, {}).status()) == "");
  CHECK(here.source.how->calls > 0);
  here.source.how->calls = 0;
  CHECK(mortise::message(store->provide<mortise::model::overlay_layers>(here.location, {}).status()) == "");
  CHECK(mortise::message(store->provide<mortise::model::erofs_layers>(here.location, {}).status()) == "");
  CHECK(mortise::message(store->provide<mortise::model::aufs_layers>(here.location, {}).status()) == "");
  CHECK(here.source.how->calls == 0);
}

TEST_CASE("remote pull: what connections lost and processes killed left is gone on with") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->most = 20'000;
  std::string said;
  int tries = 0;
  for (; tries < 50 && (said = here.provide()) != ""; ++tries) {
    CHECK(said.find("connection lost") != std::string::npos);
    CHECK(here.count("locks") == 0);
    CHECK(here.count("staging") == 0);
  }
  CHECK(said == "");
  CHECK(tries > 1);
  CHECK(here.is_right());
  std::uint64_t all = 0;
  for (const auto& each : some_layers()) all += each.blob.size();
  CHECK(here.source.how->bytes == all);  // not a byte came twice
}

TEST_CASE("remote pull: killed at any moment, the next one finishes it") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->pause = std::chrono::microseconds(300);
  for (int delay = 2; delay < 60; delay += 6) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)here.provide();
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
  CHECK(here.count("partial") == 0);
  CHECK(here.count("staging") == 0);
  CHECK(here.count("locks") == 0);
}

TEST_CASE("remote pull: killed before any change of a file, the next one finishes it and nothing is left over") {
  if (support::missing_root()) return;
  scene here;
  tar_builder low;
  low.directory("./").directory("d/").file("d/a", support::sample_text(40'000));
  tar_builder high;  // is right only above the other one
  high.directory("./").file("d/b", "b").hard_link("d/link", "d/a").file("d/.wh.gone");
  here.local.layout.write_image({gzip_layer(low.text()), plain_layer(high.text())});
  int change = 0;
  for (bool killed = true; killed; change += conformance::stride) {
    CAPTURE(change);
    killed = conformance::killed_at_change(change, [&] { (void)here.provide({.jobs = 2}); });
    REQUIRE(here.provide() == "");
    const auto collected = remote_store::open(here.directory, here.source)->collect();
    REQUIRE(collected.ok());
    CHECK(collected->problems.empty());
    CHECK(here.is_right());
    for (const char* const part : {"partial", "staging", "locks", "leases"})
      CHECK_MESSAGE(here.count(part) == 0, std::string(part));
    REQUIRE(mortise::sys::remove_tree(here.directory).ok());
  }
  CHECK(change > 50);
}

TEST_CASE("remote pull: waits for the disk once, for the record that leads to the image") {
  if (support::missing_root()) return;
  scene here;
  REQUIRE(remote_store::open(here.directory, here.source).ok());  // which syncs the version that it writes
  const std::vector<long> waits = {SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs, SYS_sync_file_range, SYS_msync};
  const auto child = support::deny(waits, EIO, [&] { return here.provide(); });
  CHECK(child.text.find("/images/") != std::string::npos);
  CHECK(child.text.find("fsync: Input/output error") != std::string::npos);
  here.source.how->calls = 0;
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
  CHECK(here.source.how->calls == 0);
  for (const progress& each : here.heard) CHECK(each.cached);  // all was fetched and unpacked without waiting
}

TEST_CASE("remote pull: wrong bytes are never unpacked; another place is asked where there is one") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->alter = [](std::uint64_t at, std::span<std::byte> bytes) {
    if (at == 0) bytes[bytes.size() / 2] ^= std::byte{1};
  };
  const std::string said = here.provide();
  CHECK(said.find("unpack layer ") != std::string::npos);
  CHECK(here.count("layers/overlay") + here.count("chains/overlay") == 0);
  CHECK(here.count("images") == 0);
  here.source.how->has_another = true;
  here.source.how->distrusted = 0;
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
}

TEST_CASE("remote pull: bytes that cannot even be unpacked are the place's fault, not the image's") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->alter = [](std::uint64_t, std::span<std::byte> bytes) {
    std::fill(bytes.begin(), bytes.end(), std::byte{'x'});
  };
  here.source.how->pause = std::chrono::milliseconds(2);  // the layer fails long before all of its blob is there
  CHECK(here.provide().find("verify blob sha256:") != std::string::npos);
  here.source.how->has_another = true;
  here.source.how->distrusted = 0;
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
}

TEST_CASE("remote pull: two processes share the work") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->pause = std::chrono::microseconds(500);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(here.provide() == "" ? 0 : 1);
  CHECK(here.provide() == "");
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(here.is_right());
  CHECK(here.count("partial") == 0);
  CHECK(here.count("locks") == 0);
}

TEST_CASE("remote pull: ends soon after it is given up, and keeps what came") {
  if (support::missing_root()) return;
  scene here;
  here.source.how->pause = std::chrono::milliseconds(30);
  std::atomic<bool> cancelled = false;
  std::thread timer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cancelled = true;
  });
  const auto begin = std::chrono::steady_clock::now();
  const std::string said = here.provide({.cancelled = &cancelled});
  timer.join();
  CHECK(said.find("cancelled") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
  CHECK(here.count("partial") > 0);
  CHECK(here.count("locks") == 0);
  here.source.how->pause = std::chrono::microseconds(0);
  REQUIRE(here.provide() == "");
  CHECK(here.is_right());
}

TEST_CASE("remote pull: a full disk is reported, and what came gives way to what is needed") {
  if (support::missing_root()) return;
  scene here;
  const support::temporary_tmpfs disk(600 << 10);
  here.directory = disk / "store";
  std::string tar = support::tar_builder().directory("./").file("big", support::sample_text(2 << 20)).text();
  here.local.layout.write_image({plain_layer(tar)});
  const std::string said = here.provide();
  CHECK(said.find("No space left on device") != std::string::npos);
  CHECK(here.count("partial") == 0);
  CHECK(here.count("staging") == 0);
  CHECK(here.count("locks") == 0);
  here.local.layout.write_image({plain_layer(tar_builder().directory("./").file("small").text())});
  CHECK(here.provide() == "");
}
