// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/blob_spool.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <string>
#include <string_view>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <thread>
#include <vector>

namespace {

using mortise::image::blob_spool;
using mortise::image::store_directory;
namespace model = mortise::model;

std::string sample(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(at * 13 >> 4);
  return text;
}

model::descriptor descriptor_of(std::string_view content) {
  return {*model::media_type::parse("application/octet-stream"),
          mortise::digest::of(content),
          content.size(),
          {},
          {},
          {},
          {},
          {}};
}

struct scene {
  support::temporary_directory place;
  store_directory store = *store_directory::open(place / "store");
  std::string content;
  model::descriptor blob;

  explicit scene(std::size_t size) : content(sample(size)), blob(descriptor_of(content)) {}

  [[nodiscard]] std::string blob_path() const { return store.path() + "/" + store_directory::blob_name(blob.digest); }
  [[nodiscard]] std::string partial_path() const {
    return store.path() + "/" + store_directory::partial_name(blob.digest);
  }
  [[nodiscard]] bool has(const std::string& path) const { return ::access(path.c_str(), F_OK) == 0; }

  absl::Status open(blob_spool& spool, std::uint64_t piece = 1 << 20) const {
    return spool.open(piece, [] { return false; });
  }
  absl::Status put(blob_spool& spool, const blob_spool::piece& piece, std::uint64_t size) const {
    return spool.write(piece, std::as_bytes(std::span(content).subspan(piece.at, size)));
  }
  /// Everything that is still to come, piece by piece from the last one backwards.
  void put_all(blob_spool& spool) const {
    std::vector<blob_spool::piece> pieces;
    while (const auto piece = spool.take_piece()) pieces.push_back(*piece);
    for (auto each = pieces.rbegin(); each != pieces.rend(); ++each)
      spool.end_piece(*each, put(spool, *each, each->last - each->at));
  }
};

absl::StatusOr<std::string> whole(blob_spool& spool) {
  return support::read_whole(*spool.follow([] { return absl::OkStatus(); }), 10'000);
}

}  // namespace

TEST_CASE("blob_spool: is read while it grows, in pieces that come in any order, and becomes a blob") {
  const scene here(1'000'000);
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool, 100'000).ok());
  absl::StatusOr<std::string> read;
  std::thread reader([&] { read = whole(spool); });
  CHECK(here.has(here.partial_path() + ".have"));
  here.put_all(spool);
  reader.join();
  REQUIRE(read.ok());
  CHECK(*read == here.content);
  CHECK(support::read_file(here.blob_path()) == here.content);
  CHECK_FALSE(here.has(here.partial_path()));
  CHECK_FALSE(here.has(here.partial_path() + ".have"));
  CHECK(support::names_in(here.store.path() + "/locks").empty());

  blob_spool again(here.store, here.blob);  // all there: nothing to fetch
  REQUIRE(here.open(again).ok());
  CHECK_FALSE(again.take_piece());
  CHECK(*whole(again) == here.content);
}

TEST_CASE("blob_spool: an empty blob is whole at once") {
  const scene here(0);
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool).ok());
  CHECK_FALSE(spool.take_piece());
  CHECK(whole(spool)->empty());
  CHECK(here.has(here.blob_path()));
}

TEST_CASE("blob_spool: what came is kept when the fetch fails, and the next one goes on there") {
  const scene here(300'000);
  {
    blob_spool spool(here.store, here.blob);
    REQUIRE(here.open(spool).ok());
    const auto piece = *spool.take_piece();
    REQUIRE(here.put(spool, piece, 200'000).ok());
    spool.end_piece(piece, absl::UnavailableError("connection lost"));
    CHECK(whole(spool).status().message() == "connection lost");
  }
  CHECK(support::read_file(here.partial_path()).size() == 200'000);
  CHECK(support::names_in(here.store.path() + "/locks").empty());
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool).ok());
  CHECK(spool.resumed());
  const auto piece = *spool.take_piece();
  CHECK(piece.at == 200'000);
  spool.end_piece(piece, here.put(spool, piece, 100'000));
  CHECK(*whole(spool) == here.content);
}

TEST_CASE("blob_spool: of several pieces only the whole beginning is trusted after a crash") {
  const scene here(5 << 20);
  {
    blob_spool spool(here.store, here.blob);
    REQUIRE(here.open(spool).ok());
    const auto first = *spool.take_piece();
    const auto second = *spool.take_piece();
    const auto third = *spool.take_piece();
    REQUIRE(here.put(spool, third, 100).ok());  // leaves a hole
    REQUIRE(here.put(spool, first, first.last).ok());
    REQUIRE(here.put(spool, second, 500'000).ok());
    // What a killed process leaves, since nothing is done when it goes.
  }
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool).ok());
  const auto piece = *spool.take_piece();
  CHECK(piece.at <= (1 << 20) + 500'000);
  CHECK(piece.at >= 1 << 20);
  spool.end_piece(piece, here.put(spool, piece, piece.last - piece.at));
  here.put_all(spool);
  CHECK(*whole(spool) == here.content);
}

TEST_CASE("blob_spool: wrong bytes are refused and not kept, wherever they came from") {
  const scene here(100'000);
  {
    blob_spool spool(here.store, here.blob);
    REQUIRE(here.open(spool).ok());
    const auto piece = *spool.take_piece();
    std::string altered = here.content;
    altered[5000] ^= 1;
    const absl::Status status = spool.write(piece, std::as_bytes(std::span(altered)));
    CHECK(absl::IsDataLoss(status));
    CHECK(std::string(mortise::message(status)) ==
          mortise::concat("verify blob ", here.blob.digest.text(), ": its digest is ",
                          mortise::digest::of(altered).text(), ", expected ", here.blob.digest.text()));
    spool.end_piece(piece, status);
    CHECK(absl::IsDataLoss(whole(spool).status()));
  }
  CHECK_FALSE(here.has(here.partial_path()));
  for (const std::string& path : {here.partial_path(), here.blob_path()}) {
    support::write_file(path, std::string(100'000, 'x'));
    blob_spool spool(here.store, here.blob);
    CHECK(absl::IsDataLoss(here.open(spool)));
    CHECK(spool.resumed());
    CHECK_FALSE(here.has(path));
  }
  for (const std::size_t size : {99'999UL, 100'001UL}) {  // no blob of this size: fetched anew, and replaced
    support::write_file(here.blob_path(), std::string(size, 'x'));
    blob_spool spool(here.store, here.blob);
    REQUIRE(here.open(spool).ok());
    here.put_all(spool);
    CHECK(*whole(spool) == here.content);
  }
}

TEST_CASE("blob_spool: more or fewer bytes than the size are refused") {
  const scene here(1000);
  blob_spool more(here.store, here.blob);
  REQUIRE(here.open(more).ok());
  const auto piece = *more.take_piece();
  const std::string too_much = here.content + "x";
  CHECK(absl::IsDataLoss(more.write(piece, std::as_bytes(std::span(too_much)))));
  REQUIRE(here.put(more, piece, 999).ok());
  more.end_piece(piece, absl::OkStatus());
  CHECK(std::string(mortise::message(whole(more).status())).ends_with("fewer bytes came than its size of 1000"));
}

TEST_CASE("blob_spool: where no parts are to be had the whole blob comes as one") {
  const scene here(1'000'000);
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool, 100'000).ok());
  const auto first = *spool.take_piece();
  const auto second = *spool.take_piece();
  spool.end_piece(first, absl::UnimplementedError("no parts"));
  CHECK_FALSE(spool.take_piece());
  spool.end_piece(second, absl::UnimplementedError("no parts"));
  const auto all = *spool.take_piece();
  CHECK(all.at == 0);
  CHECK(all.last == here.content.size());
  spool.end_piece(all, here.put(spool, all, all.last));
  CHECK(*whole(spool) == here.content);
}

TEST_CASE("blob_spool: one fetches, others wait for it, and may give up") {
  const scene here(1000);
  blob_spool spool(here.store, here.blob);
  REQUIRE(here.open(spool).ok());
  blob_spool other(here.store, here.blob);
  CHECK(absl::IsCancelled(other.open(1 << 20, [] { return true; })));
  here.put_all(spool);
  CHECK(here.open(other).ok());
  CHECK_FALSE(other.take_piece());
  blob_spool unread(here.store, here.blob);
  int asked = 0;
  const auto reader = unread.follow(
      [&]() -> absl::Status { return ++asked < 3 ? absl::OkStatus() : absl::CancelledError("not wanted"); });
  std::byte byte[1];
  CHECK(reader->read(byte).status().message() == "not wanted");
}

TEST_CASE("blob_spool: a full disk gives back what the blob took") {
  if (support::missing_root()) return;
  const support::temporary_tmpfs disk(1 << 20);
  const store_directory store = *store_directory::open(disk / "store");
  const std::string content = sample(2 << 20);
  const model::descriptor blob = descriptor_of(content);
  blob_spool spool(store, blob);
  REQUIRE(spool.open(16 << 20, [] { return false; }).ok());
  const auto piece = *spool.take_piece();
  const absl::Status status = spool.write(piece, std::as_bytes(std::span(content)));
  CHECK(mortise::errno_of(status) == ENOSPC);
  spool.end_piece(piece, status);
  CHECK(support::names_in(store.path() + "/partial").empty());
}
