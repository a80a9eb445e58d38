// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/lower.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <mortise/sys/file.hpp>
#include <span>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using mortise::archive::describe;
using mortise::archive::entry;
using mortise::archive::entry_type;
using mortise::archive::file_source;
using mortise::archive::lower_lookup;

namespace {

constexpr const char* opaque = mortise::model::unprivileged_overlay_layers::opaque_xattr;
constexpr auto form = mortise::archive::marks::of<mortise::model::unprivileged_overlay_layers>();

/// Layers numbered from the top.
class layers {
 public:
  explicit layers(int count) {
    for (int at = 0; at < count; ++at) {
      REQUIRE(mortise::sys::make_directories((*this)(at, "")).ok());
      fds_.push_back(*mortise::sys::open((*this)(at, ""), O_RDONLY | O_DIRECTORY));
      raw_.push_back(fds_.back().get());
    }
  }
  std::string operator()(int layer, const std::string& path) const {
    return place_ / (std::to_string(layer) + "/" + path);
  }
  void directory(int layer, const std::string& path) const {
    REQUIRE(mortise::sys::make_directories((*this)(layer, path)).ok());
  }
  void file(int layer, const std::string& path, const std::string& text) const {
    std::ofstream((*this)(layer, path)) << text;
  }
  void whiteout(int layer, const std::string& path) const {
    REQUIRE(::mknod((*this)(layer, path).c_str(), S_IFCHR, 0) == 0);
  }
  void hide(int layer, const std::string& path) const {
    REQUIRE(::setxattr((*this)(layer, path).c_str(), opaque, "y", 1, 0) == 0);
  }

  /// The file's content, "dir", or "nothing".
  [[nodiscard]] std::string find(const std::string& path) const {
    const auto node = lower_lookup(raw_, form).find(path);
    REQUIRE(node.ok());
    if (!*node) return "nothing";
    if (S_ISDIR((*node)->about.st_mode)) return "dir";
    return *mortise::sys::read_file_at((*node)->directory.get(), (*node)->name);
  }
  [[nodiscard]] const std::vector<int>& fds() const { return raw_; }

 private:
  support::temporary_directory place_;
  std::vector<mortise::sys::unique_fd> fds_;
  std::vector<int> raw_;
};

}  // namespace

TEST_CASE("the topmost layer that has a path is found") {
  const layers stack(3);
  stack.directory(2, "a/b");
  stack.file(2, "a/b/deep", "bottom");
  stack.file(2, "a/file", "bottom");
  stack.directory(1, "a");
  stack.file(1, "a/file", "middle");
  CHECK(stack.find("a/file") == "middle");
  CHECK(stack.find("a/b/deep") == "bottom");
  CHECK(stack.find("a/b") == "dir");
  CHECK(stack.find("a/nothing") == "nothing");
  CHECK(stack.find("a/nothing/more") == "nothing");
  CHECK(lower_lookup({}, form).find("a")->has_value() == false);
}

TEST_CASE("what is deleted, hidden, or behind something else is not found") {
  const layers stack(3);
  stack.directory(2, "a/b");
  stack.file(2, "a/b/file", "bottom");
  stack.file(2, "one", "bottom");
  stack.directory(2, "c");
  stack.file(2, "c/file", "bottom");
  stack.directory(2, "d");
  stack.file(2, "d/file", "bottom");
  stack.directory(1, "a");
  stack.hide(1, "a");
  stack.whiteout(1, "one");
  stack.whiteout(1, "c");
  stack.file(1, "d", "a file now");
  CHECK(stack.find("a") == "dir");
  CHECK(stack.find("a/b") == "nothing");
  CHECK(stack.find("a/b/file") == "nothing");
  CHECK(stack.find("one") == "nothing");
  CHECK(stack.find("c") == "nothing");
  CHECK(stack.find("c/file") == "nothing");
  CHECK(stack.find("d/file") == "nothing");
  CHECK(stack.find("d") == "a file now");
  stack.hide(0, "");  // a layer whose root hides all
  CHECK(stack.find("d") == "nothing");
}

TEST_CASE("symbolic links are found as such, and not followed") {
  const layers stack(1);
  stack.directory(0, "real");
  stack.file(0, "real/file", "text");
  REQUIRE(::symlink("real", stack(0, "soft").c_str()) == 0);
  CHECK(stack.find("soft/file") == "nothing");
  auto node = lower_lookup(stack.fds(), form).find("soft");
  REQUIRE(node.ok());
  entry about;
  REQUIRE(describe(**node, about).ok());
  CHECK(about.type == entry_type::symbolic_link);
  CHECK(about.link_target == "real");
}

TEST_CASE("a node is described as an archive would") {
  const layers stack(1);
  stack.file(0, "file", "text");
  REQUIRE(::chmod(stack(0, "file").c_str(), 04711) == 0);
  REQUIRE(::setxattr(stack(0, "file").c_str(), "user.note", "n", 1, 0) == 0);
  auto node = lower_lookup(stack.fds(), form).find("file");
  REQUIRE(node.ok());
  entry about;
  REQUIRE(describe(**node, about).ok());
  CHECK(about.type == entry_type::regular);
  CHECK(about.mode == 04711);
  CHECK(about.size == 4);
  CHECK(about.uid == ::geteuid());
  CHECK(about.modified.tv_sec == (*node)->about.st_mtim.tv_sec);
  CHECK(about.xattrs == std::vector<mortise::archive::xattr>{{"user.note", "n"}});
}

TEST_CASE("archive::file_source gives a file piece by piece") {
  const layers stack(1);
  stack.file(0, "file", std::string(600'000, 'x'));
  const auto file = mortise::sys::open(stack(0, "file"), O_RDONLY);
  file_source source(file->get());
  std::uint64_t expected = 0;
  for (;;) {
    const auto piece = source.next();
    REQUIRE(piece.ok());
    CHECK(piece->offset == expected);
    if (piece->bytes.empty()) break;
    expected += piece->bytes.size();
  }
  CHECK(expected == 600'000);
}

TEST_CASE("archive::lower_lookup says the same again, and of what is below") {
  const layers stack(3);
  stack.directory(2, "a/b");
  stack.file(2, "a/b/file", "bottom");
  stack.directory(1, "a/b");
  stack.hide(0, "");
  lower_lookup lookup(std::span(stack.fds()).subspan(1), form);
  for (int time = 0; time < 2; ++time) {
    CHECK(lookup.find("a/b/file")->has_value());
    CHECK(lookup.find("a/b")->has_value());
    CHECK_FALSE(lookup.find("a/b/file/more")->has_value());
    CHECK_FALSE(lookup.find("a/c/file")->has_value());
  }
  CHECK_FALSE(lower_lookup(stack.fds(), form).find("a/b/file")->has_value());
}
