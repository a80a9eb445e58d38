// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/blob_fetches.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <image/remote_source.hpp>
#include <map>
#include <string>
#include <support/temporary.hpp>
#include <vector>

namespace {

using mortise::image::blob_fetches;
using mortise::image::fetch_plan;
namespace model = mortise::model;

/// A layout with some blobs, and a store.
struct scene {
  support::temporary_directory place;
  support::layout_builder layout{place / "oci"};
  mortise::image::store_directory store = *mortise::image::store_directory::open(place / "store");
  support::remote_source source;
  std::vector<std::string> contents;
  std::vector<model::descriptor> blobs;

  explicit scene(const std::vector<std::size_t>& sizes) {
    for (const std::size_t size : sizes) {
      std::string text = support::sample_text(size);
      if (size > 0) text.replace(0, 2, std::to_string(contents.size() + 10));
      contents.push_back(layout.put(text));
      blobs.push_back({*model::media_type::parse("a/b"), mortise::digest::of(text), text.size(), {}, {}, {}, {}, {}});
    }
    layout.write_image({});
  }
  std::unique_ptr<mortise::image::origin> origin() {
    auto opened = source.open("remote:" + layout.path() + ":latest", place.path());
    REQUIRE(opened.ok());
    REQUIRE((*opened)->roots().ok());
    return *std::move(opened);
  }
};

absl::StatusOr<std::string> whole(mortise::image::blob_spool& spool) {
  return support::read_whole(*spool.follow([] { return absl::OkStatus(); }));
}

}  // namespace

TEST_CASE("blob_fetches: all blobs come, large ones in pieces over several connections, and are told of") {
  scene here({100, 900'000, 0, 50'000, 300'000});
  const auto from = here.origin();
  std::map<std::size_t, std::uint64_t> heard;
  fetch_plan plan;
  plan.piece = 100'000;
  plan.hear = [&](std::size_t which, std::uint64_t have) {
    CHECK(have > heard[which]);
    heard[which] = have;
  };
  blob_fetches fetches(here.store, *from, here.blobs, plan);
  REQUIRE(fetches.start().ok());
  for (std::size_t at = 0; at < here.blobs.size(); ++at) CHECK(whole(fetches.at(at)).value() == here.contents[at]);
  fetches.stop();
  for (std::size_t at = 0; at < here.blobs.size(); ++at)
    if (at != 2) CHECK(heard[at] == here.blobs[at].size);
  CHECK(here.source.how->calls.load() == 1 + 9 + 1 + 3);
  CHECK(support::names_in(here.store.path() + "/partial").empty());
  CHECK(support::names_in(here.store.path() + "/locks").empty());
}

TEST_CASE("blob_fetches: an origin without parts is asked for the whole") {
  scene here({900'000, 100});
  here.source.how->gives_parts = false;
  const auto from = here.origin();
  blob_fetches fetches(here.store, *from, here.blobs, {.connections = 3, .piece = 100'000});
  REQUIRE(fetches.start().ok());
  CHECK(whole(fetches.at(0)).value() == here.contents[0]);
  CHECK(whole(fetches.at(1)).value() == here.contents[1]);
}

TEST_CASE("blob_fetches: the blob that cannot be had fails, the others do not") {
  scene here({1000, 200'000, 1000});
  here.source.how->most = 100'000;
  const auto from = here.origin();
  blob_fetches fetches(here.store, *from, here.blobs, {});
  REQUIRE(fetches.start().ok());
  CHECK(whole(fetches.at(0)).ok());
  CHECK(whole(fetches.at(1)).status().message() == "connection lost");
  CHECK(whole(fetches.at(2)).ok());
  CHECK_FALSE(fetches.worth_another_try());
}

TEST_CASE("blob_fetches: wrong bytes are the origin's fault, unless they were here before") {
  scene here({1000});
  here.source.how->alter = [](std::uint64_t, std::span<std::byte> bytes) { bytes[10] ^= std::byte{1}; };
  const auto from = here.origin();
  {
    blob_fetches fetches(here.store, *from, here.blobs, {});
    REQUIRE(fetches.start().ok());
    CHECK(absl::IsDataLoss(whole(fetches.at(0)).status()));
    fetches.stop();
    CHECK(here.source.how->distrusted == 1);
    CHECK_FALSE(fetches.worth_another_try());
  }
  support::write_file(here.store.path() + "/" + mortise::image::store_directory::partial_name(here.blobs[0].digest),
                      "xy");
  here.source.how->alter = nullptr;
  blob_fetches fetches(here.store, *from, here.blobs, {});
  REQUIRE(fetches.start().ok());
  CHECK(absl::IsDataLoss(whole(fetches.at(0)).status()));
  fetches.stop();
  CHECK(here.source.how->distrusted == 1);
  CHECK(fetches.worth_another_try());
}

TEST_CASE("blob_fetches: ends at once while much is still to come") {
  scene here({5'000'000, 5'000'000, 5'000'000});
  here.source.how->pause = std::chrono::milliseconds(20);
  const auto from = here.origin();
  const auto begin = std::chrono::steady_clock::now();
  {
    blob_fetches fetches(here.store, *from, here.blobs, {.connections = 2});
    REQUIRE(fetches.start().ok());
    std::byte first[1];
    CHECK(fetches.at(0).follow([] { return absl::OkStatus(); })->read(first).ok());
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
  CHECK(support::names_in(here.store.path() + "/locks").empty());
}

TEST_CASE("blob_fetches: what is not wanted any more is not asked for") {
  scene here({1000, 1000});
  const auto from = here.origin();
  fetch_plan plan;
  plan.connections = 1;
  plan.wanted = [](std::size_t which) { return which != 0; };
  blob_fetches fetches(here.store, *from, here.blobs, plan);
  REQUIRE(fetches.start().ok());
  CHECK(whole(fetches.at(1)).ok());
  CHECK(absl::IsCancelled(whole(fetches.at(0)).status()));
  CHECK(here.source.how->calls == 1);
}
