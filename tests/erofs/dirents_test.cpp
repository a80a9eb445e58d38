// SPDX-License-Identifier: Apache-2.0
#include <mortise/erofs/dirents.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace mortise::erofs;

TEST_CASE("entries come in the order of their bytes, the directory itself and its parent among them") {
  tree all;
  for (const char* const each : {"a", "-", "..x", ".a", "\xff"})
    all.link(tree::root, each, all.add({.mode = S_IFREG}), 0);
  std::string seen;
  for_each_entry(all, tree::root, [&](std::string_view text, std::uint32_t) { seen.append(text).append(" "); });
  CHECK(seen == "- . .. ..x .a a \xff ");
}

TEST_CASE("a block has its entries first, then their names, and none of it is cut") {
  const std::string longer(40, 'c');
  std::vector<std::string> blocks;
  dirent_blocks of(64, [&](const std::string& bytes) { blocks.push_back(bytes); });
  of.add("aa", 3, 1);
  of.add("b", 0x0102, 2);
  of.add(longer, 5, 7);
  of.flush();
  of.flush();
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0] == std::string("\3\0\0\0\0\0\0\0\x18\0\1\0\2\1\0\0\0\0\0\0\x1a\0\2\0", 24) + "aab");
  CHECK(blocks[1] == std::string("\5\0\0\0\0\0\0\0\x0c\0\7\0", 12) + longer);
}

TEST_CASE("a directory's size is that of its blocks, the last one without padding") {
  tree all;
  CHECK(directory_size(all, tree::root, 512) == 27);
  for (int each = 0; each < 100; ++each)
    all.link(tree::root, "name-" + std::to_string(1000 + each), all.add({.mode = S_IFREG}), 0);
  std::uint64_t size = 0;
  std::size_t last = 0;
  dirent_blocks of(512, [&](const std::string& bytes) {
    size += 512;
    last = bytes.size();
  });
  for_each_entry(all, tree::root, [&](std::string_view text, std::uint32_t) { of.add(text, 0, 1); });
  of.flush();
  CHECK(directory_size(all, tree::root, 512) == size - 512 + last);
}
