// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/place.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace mortise;
using erofs::place_finder;
using erofs::tree;

namespace {

const archive::limits caps;

/// Puts something of a layer at a path of one part.
std::uint32_t put(tree& all, std::string_view text, unsigned mode, std::uint32_t layer, std::string target = {}) {
  const auto made = all.add({.mode = static_cast<std::uint16_t>(mode)});
  if (S_ISDIR(mode)) all.make_directory(made, tree::root);
  if (S_ISLNK(mode)) all.at(made).more = all.add_target(std::move(target));
  all.link(tree::root, text, made, layer);
  return made;
}

}  // namespace

TEST_CASE("parents that are not there are made, with the time of what implied them") {
  tree all;
  place_finder places(all, 1, caps, false);
  places.implied_by(-5, 7);
  const auto found = places.enter("a/b");
  REQUIRE(found.ok());
  CHECK(all.at(found->directory).mode == (S_IFDIR | 0755));
  CHECK(all.at(found->directory).seconds == -5);
  CHECK(all.at(found->directory).nanoseconds == 7);
  CHECK(places.enter("a/b")->directory == found->directory);
  CHECK(places.enter("")->directory == tree::root);
}

TEST_CASE("a lower layer's links lead on, within the root; a layer's own are no parents") {
  tree all;
  const auto real = put(all, "real", S_IFDIR | 0755, 0);
  put(all, "link", S_IFLNK | 0777, 0, "../../real");
  put(all, "absolute", S_IFLNK | 0777, 0, "/real");
  put(all, "loop", S_IFLNK | 0777, 0, "loop");
  put(all, "file", S_IFREG | 0644, 0);
  put(all, "own", S_IFLNK | 0777, 1, "real");
  place_finder places(all, 1, caps, false);
  CHECK(places.enter("link")->directory == real);
  CHECK(places.enter("absolute")->directory == real);
  CHECK(message(places.enter("loop/x").status()) == "too many symbolic links lead to it");
  CHECK(message(places.enter("own/x").status()) == "this layer has a symbolic link as its parent 'own'");
  CHECK_MESSAGE(places.enter("file/x").ok(), "a lower file is hidden by the directory");
  place_finder apart(all, 2, caps, true);
  CHECK(apart.enter("absolute")->directory != real);
}

TEST_CASE("nothing is to be hidden where nothing of lower layers shows") {
  tree all;
  const auto lower = put(all, "lower", S_IFDIR | 0755, 0);
  const auto covered = put(all, "covered", S_IFDIR | 0755, 1);
  all.names_of(covered).opaque_in = 1;
  put(all, "own", S_IFREG | 0644, 1);
  place_finder places(all, 1, caps, false);
  CHECK((*places.enter_to_hide("lower"))->directory == lower);
  CHECK(all.names_of(lower).hollow_in == 1);
  CHECK(!*places.enter_to_hide("covered"));
  CHECK(!*places.enter_to_hide("covered/deeper"));
  CHECK(!*places.enter_to_hide("own/x"));
  places.note_deleted(tree::root, "gone");
  CHECK(!*places.enter_to_hide("gone/x"));
  CHECK(places.enter("lower").ok());
  CHECK(all.names_of(lower).hollow_in == erofs::none);
}

TEST_CASE("a tree has its limits") {
  tree all;
  archive::limits few;
  few.entries = 3;
  place_finder places(all, 0, few, false);
  CHECK(absl::IsResourceExhausted(places.enter("a/b/c/d/e").status()));
}

TEST_CASE("what is remembered of a layer counts as memory, once") {
  tree all;
  place_finder places(all, 1, caps, false);
  places.note_deleted(tree::root, std::string(200, 'n'));
  const std::uint64_t one = places.weight();
  CHECK(one > 200);
  places.note_deleted(tree::root, std::string(200, 'n'));
  CHECK(places.weight() == one);
  places.note_copied_up(tree::root, std::string(200, 'n'));
  CHECK(places.weight() == 2 * one);
  CHECK(erofs::check_size(all, caps, 0, one).ok());
  CHECK(absl::IsResourceExhausted(erofs::check_size(all, caps, 0, std::uint64_t{512} << 20)));
}

TEST_CASE("lower layers' links may not lead to every entry by dozens, in an index either") {
  tree all;
  for (int each = 0; each < 39; ++each)
    put(all, std::to_string(each), S_IFLNK | 0777, 0, each == 38 ? "end" : std::to_string(each + 1));
  place_finder places(all, 1, caps, false);
  absl::Status status;
  for (int each = 0; each < 1000 && status.ok(); ++each) {
    places.implied_by(0, 0);
    status = places.enter("0").status();
  }
  CHECK(absl::IsResourceExhausted(status));
}
