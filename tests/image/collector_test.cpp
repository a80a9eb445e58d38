// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/collector.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <conformance/killed_at.hpp>
#include <image/remote_source.hpp>
#include <image/store_fixture.hpp>
#include <map>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

namespace {

using mortise::image::collect_options;
using mortise::image::collected;
using mortise::image::collection;
using support::gzip_layer;
using support::tar_builder;
using store_type = mortise::image::store<support::remote_source>;

/// Three images of two layers each, the lower one common to all; tags "a", "b", "c", used in this order.
struct scene {
  support::temporary_directory place;
  std::string directory = place / "store";
  support::layout_builder layout{place / "oci"};
  support::remote_source source;
  store_type store = *store_type::open(directory, source);

  scene() {
    const auto base = gzip_layer(tar_builder().directory("./").file("base", support::sample_text(5000)).text());
    std::vector<std::string> entries;
    for (const char* const tag : {"a", "b", "c"}) {
      const std::string manifest = layout.put_image(
          {base, gzip_layer(tar_builder().directory("./").file(tag, support::sample_text(3000)).text())});
      entries.push_back(support::descriptor(mortise::image::media::oci_manifest, manifest, support::tagged(tag)));
    }
    layout.write_index(entries);
  }

  std::string location(const std::string& tag) const { return "remote:" + layout.path() + ":" + tag; }
  absl::StatusOr<mortise::model::image> provide(const std::string& tag) {
    return store.provide<mortise::model::overlay_layers>(location(tag));
  }
  /// Provides all and makes them old: a by 300, b by 200, c by 100 seconds.
  void provide_all() {
    int age = 300;
    for (const char* const tag : {"a", "b", "c"}) {
      REQUIRE(provide(tag).ok());
      make_older(tag, age);
      age -= 100;
    }
  }
  void make_older(const std::string& tag, int seconds) const {
    const timespec then{::time(nullptr) - seconds, 0};
    const timespec times[] = {then, then};
    const auto images = mortise::image::list_images(store.directory());
    for (const auto& each : *images)
      if (each.record.location == location(tag))
        REQUIRE(::utimensat(store.directory().fd(), each.name.c_str(), times, 0) == 0);
  }
  collection collect(const collect_options& options = {}) const {
    auto out = store.collect(options);
    REQUIRE(out.ok());
    CHECK(out->problems.empty());
    return *std::move(out);
  }
  std::atomic<unsigned>& source_calls() { return source.how->calls; }
  std::string remembered() const {
    std::string out;
    const auto images = store.list();
    for (const auto& each : *images) out += each.location.back();
    return out;
  }
  std::size_t count(const std::string& part) const { return support::names_in(directory + "/" + part).size(); }
  bool tidy() const { return count("staging") + count("locks") + count("leases") == 0; }
  std::uint64_t held() const {
    std::uint64_t out = 0;
    const auto parts = mortise::image::list_parts(store.directory());
    for (const auto& each : *parts) out += each.bytes;
    return out;
  }
};

std::size_t count_of(const collection& in, collected::what kind) {
  return static_cast<std::size_t>(
      std::count_if(in.gone.begin(), in.gone.end(), [kind](const collected& each) { return each.kind == kind; }));
}

}  // namespace

TEST_CASE("collector: what images need stays; what none needs goes, and the dry run says the same before") {
  if (support::missing_root()) return;
  scene here;
  here.provide_all();
  CHECK(here.collect().gone.empty());
  CHECK(here.store.remove(here.location("b")).value());
  const std::uint64_t held = here.held();
  const collection planned = here.collect({.dry_run = true});
  CHECK(count_of(planned, collected::what::layer) == 1);
  CHECK(count_of(planned, collected::what::blob) == 3);
  CHECK(here.held() == held);
  const collection done = here.collect();
  REQUIRE(done.gone.size() == planned.gone.size());
  for (std::size_t at = 0; at < done.gone.size(); ++at) CHECK(done.gone[at].name == planned.gone[at].name);
  CHECK(done.freed == planned.freed);
  CHECK(done.kept == held - done.freed);
  CHECK(here.held() == done.kept);
  CHECK(here.tidy());
  CHECK(here.collect().gone.empty());
  for (const char* const tag : {"a", "c"}) {  // both still have all of theirs
    here.source_calls() = 0;
    REQUIRE(here.provide(tag).ok());
    CHECK(here.source_calls() == 0);
  }
}

TEST_CASE("collector: images go by age, and least recently used down to a size") {
  if (support::missing_root()) return;
  SUBCASE("by age") {
    scene here;
    here.provide_all();
    const collection done = here.collect({.unused_for = std::chrono::seconds(150)});
    CHECK(here.remembered() == "c");
    CHECK(count_of(done, collected::what::image) == 2);
    CHECK(here.count("layers/overlay") == 2);
  }
  SUBCASE("by size") {
    scene here;
    here.provide_all();
    const std::uint64_t held = here.held();
    const collection done = here.collect({.most_bytes = held - 1});
    CHECK(here.remembered() == "bc");
    CHECK(done.kept < held);
    CHECK(done.short_by == 0);
    REQUIRE(here.provide("b").ok());  // used just now
    here.make_older("b", 1);
    (void)here.collect({.most_bytes = here.held() - 1});
    CHECK(here.remembered() == "b");
  }
  SUBCASE("by free space, and nothing is pretended") {
    scene here;
    here.provide_all();
    const collection done = here.collect({.least_free = ~std::uint64_t{0}});
    CHECK(here.remembered().empty());
    CHECK(here.held() == 0);
    CHECK(done.short_by > 0);
  }
  SUBCASE("a clock that was set back makes nothing old") {
    scene here;
    here.provide_all();
    here.make_older("a", -100'000);
    (void)here.collect({.unused_for = std::chrono::seconds(250)});
    CHECK(here.remembered() == "abc");
  }
}

TEST_CASE("collector: pinned images and those in use stay, whatever is asked") {
  if (support::missing_root()) return;
  scene here;
  here.provide_all();
  REQUIRE(here.store.pin(here.location("a")).ok());
  {
    const auto used = here.provide("b");
    here.make_older("b", 1000);
    REQUIRE(used.ok());
    const collection done = here.collect({.most_bytes = 0, .unused_for = std::chrono::seconds(0)});
    CHECK(here.remembered() == "ab");
    CHECK(done.short_by > 0);
    CHECK(here.store.remove(here.location("b")).value());  // forgotten, but still in use
    (void)here.collect();
    for (const auto& layer : used->layers) CHECK_FALSE(support::names_in(layer.directory).empty());
  }
  (void)here.collect();
  CHECK(here.count("layers/overlay") == 2);
  REQUIRE(here.store.unpin(here.location("a")).ok());
  (void)here.collect({.most_bytes = 0});
  CHECK(here.held() == 0);
}

TEST_CASE("collector: what the killed had leased is theirs no more, also where nothing else goes") {
  if (support::missing_root()) return;
  scene here;
  here.provide_all();
  const auto kept = here.provide("a");
  for (int at = 0; at < 3; ++at) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto image = here.provide("b");
      ::kill(::getpid(), SIGKILL);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
  }
  CHECK(here.count("leases") == 4);
  CHECK(here.collect({.dry_run = true}).gone.empty());
  CHECK(here.count("leases") == 4);
  CHECK(here.collect().gone.empty());
  CHECK(here.count("leases") == 1);
}

TEST_CASE("collector: blobs whose layers lie on the disk go where that is asked, and can be fetched again") {
  if (support::missing_root()) return;
  scene here;
  here.provide_all();
  CHECK(count_of(here.collect({.drop_blobs = true}), collected::what::blob) == 0);  // not on the disk for sure yet
  REQUIRE(here.store.settle().ok());
  const collection done = here.collect({.drop_blobs = true});
  CHECK(count_of(done, collected::what::blob) == 4);
  CHECK(count_of(done, collected::what::layer) == 0);
  here.source_calls() = 0;
  REQUIRE(here.provide("a").ok());
  CHECK(here.source_calls() == 0);
  mortise::sys::remove_tree(here.directory + "/layers/overlay").IgnoreError();
  REQUIRE(here.provide("a").ok());
  CHECK(here.source_calls() == 2);
}

TEST_CASE("collector: unfinished fetches go when nobody went on with them") {
  if (support::missing_root()) return;
  scene here;
  const std::string old = here.directory + "/partial/sha256-" + std::string(64, '1');
  for (const std::string& name : {old, old + ".have", here.directory + "/partial/sha256-" + std::string(64, '2')})
    support::write_file(name, "123");
  const timespec then{::time(nullptr) - 100'000, 0};
  const timespec times[] = {then, then};
  for (const std::string& name : {old, old + ".have"}) REQUIRE(::utimensat(AT_FDCWD, name.c_str(), times, 0) == 0);
  const timespec ahead{::time(nullptr) + 100'000, 0};  // of a clock that was set back since
  const timespec later[] = {ahead, ahead};
  support::write_file(here.directory + "/partial/sha256-" + std::string(64, '3'), "123");
  REQUIRE(::utimensat(AT_FDCWD, (here.directory + "/partial/sha256-" + std::string(64, '3')).c_str(), later, 0) == 0);
  const collection done = here.collect();
  CHECK(count_of(done, collected::what::partial) == 2);
  CHECK(here.count("partial") == 2);
  CHECK(here.tidy());
}

TEST_CASE("collector: what a power cut took goes, unless somebody may be making it anew") {
  if (support::missing_root()) return;
  scene here;
  {
    const auto image = here.provide("a");
    REQUIRE(image.ok());
    const std::string record = image->layers[1].directory + "/../record";
    const std::string text = support::read_file(record);
    support::write_file(record, text.substr(0, text.find("boot ")) + "boot 12345678-1234-1234-1234-123456789012\n");
    CHECK(here.collect({.dry_run = true}).gone.empty());
    CHECK(here.collect().gone.empty());
  }
  CHECK(here.collect({.dry_run = true}).gone.size() == 1);
  const collection done = here.collect();
  REQUIRE(done.gone.size() == 1);
  CHECK(done.gone.front().kind == collected::what::layer);
  CHECK(done.gone.front().why == "lost in a power cut");
  here.source_calls() = 0;
  REQUIRE(here.provide("a").ok());  // from the blob that is still there
  CHECK(here.source_calls() == 0);
  CHECK(here.count("layers/overlay") == 2);
}

TEST_CASE("collector: a damaged image is a problem of its own, and stops nothing but what is unknown") {
  if (support::missing_root()) return;
  scene here;
  here.provide_all();
  const auto images = mortise::image::list_images(here.store.directory());
  const std::string blob =
      here.directory + "/" + mortise::image::store_directory::blob_name(images->front().record.manifest.digest);
  support::write_file(blob, "{}");
  const auto done = here.store.collect();
  REQUIRE(done.ok());
  REQUIRE(done->problems.size() == 1);
  CHECK(done->problems.front().find("read image 'remote:") == 0);
  CHECK(here.count("layers/overlay") == 3);  // that image's own layer went: nobody can tell that it is needed
  REQUIRE(here.provide("a").ok());           // and it is pulled again
}

TEST_CASE("collector: beside pulls that go on all the time nothing is lost") {
  if (support::missing_root()) return;
  scene here;
  std::atomic<bool> over = false;
  std::atomic<int> collections = 0;
  std::thread collector([&] {
    auto other = store_type::open(here.directory);
    while (!over) {
      const auto done = other->collect({.most_bytes = 0});
      CHECK(done.ok());
      if (done.ok()) CHECK(done->problems.empty());
      ++collections;
    }
  });
  std::vector<std::thread> pullers;
  for (const char* const tag : {"a", "b", "c"})
    pullers.emplace_back([&, tag] {
      auto mine = store_type::open(here.directory);
      for (int round = 0; round < 15; ++round) {
        const auto image = mine->provide<mortise::model::overlay_layers>(here.location(tag));
        CHECK_MESSAGE(image.ok(), std::string(mortise::message(image.status())));
        if (!image.ok()) continue;
        CHECK(support::read_file(image->layers[0].directory + "/base").size() == 5000);
        CHECK(support::read_file(image->layers[1].directory + "/" + tag).size() == 3000);
      }
    });
  for (std::thread& each : pullers) each.join();
  over = true;
  collector.join();
  CHECK(collections > 1);
  (void)here.collect({.most_bytes = 0});
  CHECK(here.held() == 0);
  CHECK(here.tidy());
}

TEST_CASE("collector: killed before any change, it has taken nothing that is needed, and the next one finishes") {
  if (support::missing_root()) return;
  scene here;
  int change = 0;
  for (bool killed = true; killed; change += conformance::stride) {
    CAPTURE(change);
    here.provide_all();
    killed = conformance::killed_at_change(
        change, [&] { (void)here.store.collect({.unused_for = std::chrono::seconds(150)}); });
    here.source_calls() = 0;
    REQUIRE(here.provide("c").ok());
    CHECK(here.source_calls() == 0);
    REQUIRE(store_type::open(here.directory).ok());  // sweeps what the killed had moved away
    (void)here.collect({.unused_for = std::chrono::seconds(150)});
    CHECK(here.remembered() == "c");
    CHECK(here.count("layers/overlay") == 2);
    CHECK(here.count("blobs/sha256") == 4);
    CHECK(here.tidy());
  }
  CHECK(change > 10);
}

TEST_CASE("collector: killed at any moment, it has taken nothing that is needed, and the next one finishes") {
  if (support::missing_root()) return;
  scene here;
  for (int delay = 0; delay < 20; ++delay) {
    REQUIRE(here.provide("a").ok());
    REQUIRE(here.provide("b").ok());
    REQUIRE(here.store.remove(here.location("b")).ok());
    const pid_t child = ::fork();
    if (child == 0) {
      (void)here.store.collect();
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay * 150));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    here.source_calls() = 0;
    REQUIRE(here.provide("a").ok());
    CHECK(here.source_calls() == 0);
  }
  REQUIRE(store_type::open(here.directory).ok());  // sweeps what the killed had moved away
  (void)here.collect();
  CHECK(here.count("layers/overlay") == 2);
  CHECK(here.tidy());
}

TEST_CASE("collector: images of thousands of layers are gone through once, however much garbage there is") {
  scene here;
  const auto& store = here.store.directory();
  const auto put = [&](const std::string& content) {
    support::write_file(here.directory + "/blobs/sha256/" + support::sha256(content).substr(7), content);
    return content;
  };
  for (const char* const tag : {"x", "y", "z", "u", "v", "w"}) {
    std::vector<support::test_layer> layers;
    std::vector<std::string> descriptors;
    for (int each = 0; each < 8'000; ++each) {
      layers.push_back(support::plain_layer(tag + std::to_string(each)));
      descriptors.push_back(support::descriptor(layers.back().type, layers.back().blob));
    }
    const std::string config = put(support::config_text(layers));
    const std::string manifest =
        put(support::manifest_text(support::descriptor(mortise::image::media::oci_config, config), descriptors));
    const mortise::image::image_record record{
        here.location(tag),
        "linux/amd64",
        {mortise::model::media_type::parse(mortise::image::media::oci_manifest).value(),
         mortise::digest::of(manifest),
         manifest.size(),
         {},
         {},
         {},
         {},
         {}},
        ""};
    support::write_file(here.directory + '/' + record.name(), record.text());
  }
  for (int each = 0; each < 40'000; ++each) put(std::to_string(each));
  const auto outcome = support::in_child({.cpu_seconds = 10}, [&]() -> std::string {
    const auto done = mortise::image::collect(store);
    return done.ok() ? std::to_string(done->gone.size()) : std::string(mortise::message(done.status()));
  });
  CHECK(outcome.text == "40000");
  CHECK(mortise::image::list_parts(store)->size() == 12);
}
