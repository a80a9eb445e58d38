// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/entry_path.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::message;
using mortise::archive::entry_path;
using mortise::archive::limits;

namespace {

std::string spelled(std::string_view name) {
  const auto path = entry_path::parse(name, limits{});
  return path.ok() ? path->text() : std::string(message(path.status()));
}

}  // namespace

TEST_CASE("names get one spelling") {
  CHECK(spelled("a/b") == "a/b");
  CHECK(spelled("./a//b/./c/") == "a/b/c");
  CHECK(spelled("/etc/passwd") == "etc/passwd");
  CHECK(spelled("...") == "...");
  CHECK(spelled("..a/b..") == "..a/b..");
  CHECK(spelled("\xff/\xc3\xa9") == "\xff/\xc3\xa9");
  for (const char* const root : {"", ".", "/", "./", "//./"}) CHECK(entry_path::parse(root, limits{})->is_root());
}

TEST_CASE("a path knows its parent and its name") {
  const auto deep = entry_path::parse("a/b/c", limits{});
  CHECK(deep->parent() == "a/b");
  CHECK(deep->name() == std::string("c"));
  const auto flat = entry_path::parse("c", limits{});
  CHECK(flat->parent() == "");
  CHECK(flat->name() == std::string("c"));
}

TEST_CASE("names that lead out or are too long are refused") {
  for (const char* const name : {"..", "../a", "a/..", "a/../b", "/..", "./../a"})
    CHECK(spelled(name) == "its name contains '..'");
  CHECK(spelled(std::string(255, 'a')) == std::string(255, 'a'));
  CHECK(spelled(std::string(256, 'a')) == "its name has a component of more bytes than the 255 allowed");
  CHECK(spelled(std::string(4097, '/')) == "its name has more bytes than the 4096 allowed");
  std::string deep;
  for (int level = 0; level < 257; ++level) deep += "d/";
  CHECK(spelled(deep) == deep.substr(0, deep.size() - 1));
  CHECK(spelled(deep + "d") == "its name is more directories deep than the 256 allowed");
  CHECK(entry_path::parse(deep + "d", limits{}).status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("archive::entry_path is seen from a directory above it") {
  const auto below = [](std::string_view path, std::string_view directory) {
    const auto seen = entry_path::parse(path, {})->below(directory);
    return seen ? "/" + seen->text() : std::string("none");
  };
  CHECK(below("rootfs/usr/bin", "rootfs") == "/usr/bin");
  CHECK(below("./rootfs//a/", "rootfs") == "/a");
  CHECK(below("rootfs", "rootfs") == "/");
  for (const char* const other : {"", "rootfsx", "rootfsx/a", "root", "a/rootfs", "manifest"})
    CHECK(below(other, "rootfs") == "none");
}
