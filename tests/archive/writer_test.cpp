// SPDX-License-Identifier: Apache-2.0
// The rest of what archive::writer does is seen through apply(), in apply_test.cpp.
#include <mortise/archive/writer.hpp>

#include <doctest/doctest.h>

#include <archive/tree.hpp>
#include <cstring>
#include <string>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using mortise::archive::entry;
using mortise::archive::entry_path;
using mortise::archive::entry_type;
using mortise::archive::extent;

namespace {

constexpr auto form = mortise::archive::marks::of<mortise::model::unprivileged_overlay_layers>();

/// A writer in a directory of its own.
struct bench {
  support::temporary_directory place;
  mortise::sys::unique_fd root = *mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  mortise::archive::cursor where{root.get(), form};
  mortise::archive::attribute_writer attributes{false};
  mortise::archive::writer output{root.get(), form, where, attributes};

  absl::Status file(const char* name, std::uint64_t size,
                    const std::vector<std::pair<std::uint64_t, std::string>>& pieces) {
    entry about;
    about.mode = 0644;
    about.size = size;
    std::size_t at = 0;
    return output.make_file(name, about, [&]() -> absl::StatusOr<extent> {
      if (at == pieces.size()) return extent{};
      const auto& [offset, text] = pieces[at++];
      return extent{offset, std::as_bytes(std::span(text))};
    });
  }
};

}  // namespace

TEST_CASE("archive::writer puts pieces where they belong and leaves holes between") {
  bench here;
  REQUIRE(here.file("x", 3 << 20, {{1 << 20, "middle"}, {5, "begin"}}).ok());
  const support::tree tree(here.place.path());
  CHECK(tree.about("x").st_size == 3 << 20);
  CHECK(tree.about("x").st_blocks * 512 <= 16384);
  CHECK(message(here.file("y", 10, {{8, "123"}})) == "its data reaches beyond its size");
  CHECK_FALSE(here.file("z", 10, {{11, "1"}}).ok());
}

TEST_CASE("archive::writer links to what the layer has, and says if it has not") {
  bench here;
  REQUIRE(here.file("x", 1, {{0, "x"}}).ok());
  const auto link = [&](const char* name, const char* target) {
    return here.output.make_link(name, *entry_path::parse(target, mortise::archive::limits{}));
  };
  CHECK(*link("y", "x"));
  CHECK_FALSE(*link("z", "nothing"));
  CHECK_FALSE(*link("z", "no/thing"));
  CHECK_FALSE(link("z", "x/below").ok());
  REQUIRE(here.output.make_whiteout("gone").ok());
  CHECK(message(link("z", "gone").status()) == "this layer deletes it");
  CHECK(support::tree(here.place.path()).about("x").st_nlink == 2);
}

TEST_CASE("archive::writer takes whiteouts out of a whole tree") {
  bench here;
  entry about;
  about.type = entry_type::directory;
  about.mode = 0755;
  for (const char* const name : {"a", "b", "c"}) {
    REQUIRE(here.output.make_directory(name, about).ok());
    REQUIRE(here.output.make_whiteout("gone").ok());
    REQUIRE(here.file("kept", 0, {}).ok());
  }
  REQUIRE(here.where.ascend_towards("").ok());
  REQUIRE(here.output.remove_marks(false, [](const std::string&) { return true; }).ok());
  CHECK(here.where.path() == "");
  CHECK(support::tree(here.place.path()).paths() ==
        std::vector<std::string>{"a", "a/b", "a/b/c", "a/b/c/kept", "a/b/kept", "a/kept"});
  REQUIRE(here.where.descend("a").ok());
  REQUIRE(here.where.descend("b").ok());
  REQUIRE(here.where.hide_lower().ok());
  REQUIRE(here.where.ascend_towards("").ok());
  const auto asked = [&here](const std::string& name) { return here.where.path() + '/' + name == "a/kept"; };
  REQUIRE(here.output.remove_marks(true, asked).ok());
  CHECK(support::tree(here.place.path()).paths() ==
        std::vector<std::string>{"a", "a/b", "a/b/c", "a/b/c/kept", "a/b/kept"});
}
