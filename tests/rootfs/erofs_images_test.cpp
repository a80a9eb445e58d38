// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/erofs_images.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <rootfs/smallest_image.hpp>
#include <set>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <thread>
#include <vector>

using namespace mortise;

namespace {

/// Which file system a mount shows: each mounting of an image is one of its own.
dev_t shown_by(const absl::StatusOr<sys::unique_fd>& tree) {
  REQUIRE_MESSAGE(tree.ok(), message(tree.status()));
  struct stat about{};
  REQUIRE(::fstat(tree->get(), &about) == 0);
  return about.st_dev;
}

/// Skips, and says true, where each container has a mounting of its own.
bool missing_copies(const std::string& image) {
  const rootfs::erofs_images images;
  const auto first = images.mount(image);
  const auto second = images.mount(image);
  if (shown_by(first) == shown_by(second)) return false;
  support::skip("needs Linux 6.15, which copies detached mounts");
  return true;
}

struct one_image {
  support::temporary_directory place;
  std::string path = place.path() + "/image";
  sys::unique_fd directory = support::smallest_image(path);
};

}  // namespace

TEST_CASE("an image is mounted once, and shown as often as is asked") {
  if (support::missing_root() || support::missing_erofs()) return;
  const one_image at;
  if (missing_copies(at.path)) return;
  const rootfs::erofs_images images;
  const auto first = images.mount(at.path);
  const auto second = rootfs::erofs_images(images).mount(at.path);
  CHECK(shown_by(first) == shown_by(second));
  CHECK(first->get() != second->get());
  CHECK(support::mounts_named("erofs") == 0);
  const rootfs::erofs_images others;
  CHECK(shown_by(others.mount(at.path)) != shown_by(first));
}

TEST_CASE("what is shared is the mount that is kept") {
  if (support::missing_root() || support::missing_erofs()) return;
  const one_image at;
  if (missing_copies(at.path)) return;
  const rootfs::erofs_images images;
  const auto first = images.share(at.path);
  const auto second = images.share(at.path);
  REQUIRE_MESSAGE(first.ok(), message(first.status()));
  REQUIRE(second.ok());
  CHECK(first->get() == second->get());
  CHECK((*first)->get() != images.mount(at.path)->get());
}

TEST_CASE("an image that was made anew in the same place is another one") {
  if (support::missing_root() || support::missing_erofs()) return;
  const one_image at;
  const rootfs::erofs_images images;
  const auto before = images.mount(at.path);
  const auto text = sys::read_file(at.path + "/index");
  REQUIRE(text.ok());
  REQUIRE(sys::replace_file_at(at.directory.get(), "index", *text).ok());
  CHECK(shown_by(images.mount(at.path)) != shown_by(before));
  REQUIRE(::unlinkat(at.directory.get(), "index", 0) == 0);
  CHECK(absl::IsNotFound(images.mount(at.path).status()));
}

TEST_CASE("only the images that were used last are kept, and any number of them can be had") {
  if (support::missing_root() || support::missing_erofs()) return;
  const support::temporary_directory place;
  std::vector<std::string> paths;
  for (int each = 0; each < 20; ++each) {
    paths.push_back(place.path() + "/image-" + std::to_string(each));
    (void)support::smallest_image(paths.back());
  }
  if (missing_copies(paths.front())) return;
  const rootfs::erofs_images images;
  const auto first = images.mount(paths.front());
  std::set<dev_t> all;
  for (const std::string& each : paths) all.insert(shown_by(images.mount(each)));
  CHECK(all.contains(shown_by(images.mount(paths.back()))));
  CHECK_MESSAGE(shown_by(images.mount(paths.front())) != shown_by(first), "it had to go, and is mounted anew");
}

TEST_CASE("threads that ask at once get the same image") {
  if (support::missing_root() || support::missing_erofs()) return;
  const one_image at;
  if (missing_copies(at.path)) return;
  const rootfs::erofs_images images;
  std::vector<dev_t> seen(8);
  {
    std::vector<std::jthread> threads;
    for (dev_t& each : seen)
      threads.emplace_back([&] {
        const auto tree = images.mount(at.path);
        struct stat about{};
        if (tree.ok() && ::fstat(tree->get(), &about) == 0) each = about.st_dev;
      });
  }
  CHECK(seen.front() != 0);
  for (const dev_t each : seen) CHECK(each == seen.front());
}
