// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/tree_digest.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <functional>
#include <image/layout_builder.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

namespace {

/// A small tree of every kind of entry, all with the same times.
struct tree {
  support::temporary_directory place;

  tree() {
    for (const char* const name : {"a", "a/b"}) ::mkdir((place / name).c_str(), 0750);
    support::write_file(place / "a/file", "content");
    support::write_file(place / "other", "");
    ::link((place / "a/file").c_str(), (place / "a/link").c_str());
    ::symlink("target", (place / "symlink").c_str());
    ::mkfifo((place / "a/b/fifo").c_str(), 0600);
    settle();
  }
  void settle() const {
    const timespec times[] = {{1000, 1}, {1000, 1}};
    for (const char* const name : {"a/b/fifo", "symlink", "a/link", "other", "a/b", "a"})
      ::utimensat(AT_FDCWD, (place / name).c_str(), times, AT_SYMLINK_NOFOLLOW);
  }
  [[nodiscard]] std::string digest() const {
    const auto root = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
    const auto out = mortise::image::tree_digest(root->get());
    return out.ok() ? out->text() : std::string(mortise::message(out.status()));
  }
};

}  // namespace

TEST_CASE("tree_digest: equal trees have one, whatever else differs") {
  const tree one;
  const tree two;
  CHECK(one.digest() == two.digest());
  CHECK(one.digest().starts_with("sha256:"));
}

TEST_CASE("tree_digest: whatever is changed changes it") {
  const tree whole;
  const std::vector<std::function<void(const tree&)>> changes{
      [](const tree& in) { support::write_file(in.place / "a/file", "c0ntent"); },
      [](const tree& in) { support::write_file(in.place / "a/file", "contents"); },
      [](const tree& in) { ::chmod((in.place / "a/b").c_str(), 0700); },
      [](const tree& in) { ::unlink((in.place / "other").c_str()); },
      [](const tree& in) { ::rename((in.place / "other").c_str(), (in.place / "another").c_str()); },
      [](const tree& in) { support::write_file(in.place / "more", ""); },
      [](const tree& in) {
        ::unlink((in.place / "symlink").c_str());
        ::symlink("targeT", (in.place / "symlink").c_str());
      },
      [](const tree& in) {  // no longer the same file
        ::unlink((in.place / "a/link").c_str());
        support::write_file(in.place / "a/link", "content");
      },
      [](const tree& in) {
        ::unlink((in.place / "a/b/fifo").c_str());
        support::write_file(in.place / "a/b/fifo", "");
      },
      [](const tree& in) { ::chmod((in.place.path()).c_str(), 0700); },
  };
  for (std::size_t at = 0; at < changes.size(); ++at) {
    CAPTURE(at);
    const tree altered;
    changes[at](altered);
    altered.settle();
    CHECK(altered.digest() != whole.digest());
  }
  const tree later;
  const timespec times[] = {{1000, 1}, {1000, 2}};
  ::utimensat(AT_FDCWD, (later.place / "other").c_str(), times, 0);
  CHECK(later.digest() != whole.digest());
}

TEST_CASE("tree_digest: owners, devices and attributes count, the times of whiteouts do not") {
  if (support::missing_root()) return;
  const tree whole;
  const tree owned;
  ::chown((owned.place / "other").c_str(), 1, 0);
  CHECK(owned.digest() != whole.digest());
  const tree attributed;
  const auto file = mortise::sys::open(attributed.place / "other", O_PATH);
  REQUIRE(mortise::sys::set_xattr(file->get(), "trusted.overlay.opaque", "y").ok());
  CHECK(attributed.digest() != whole.digest());
  const auto with_device = [](dev_t device, long time) {
    const tree out;
    ::mknod((out.place / "device").c_str(), S_IFCHR | 0600, device);
    out.settle();
    const timespec times[] = {{time, 0}, {time, 0}};
    ::utimensat(AT_FDCWD, (out.place / "device").c_str(), times, 0);
    return out.digest();
  };
  CHECK(with_device(makedev(1, 3), 5) == with_device(makedev(1, 3), 5));
  CHECK(with_device(makedev(1, 3), 5) != with_device(makedev(1, 5), 5));
  CHECK(with_device(makedev(1, 3), 5) != with_device(makedev(1, 3), 6));
  CHECK(with_device(makedev(0, 0), 5) == with_device(makedev(0, 0), 6));
}

TEST_CASE("tree_digest: a tree deeper than there are descriptors") {
  const support::temporary_directory place;
  auto at = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  const auto root = mortise::sys::duplicate(at->get());
  for (int depth = 0; depth < 200; ++depth) {
    REQUIRE(::mkdirat(at->get(), "d", 0700) == 0);
    at = mortise::sys::open_at(at->get(), "d", O_RDONLY | O_DIRECTORY);
    REQUIRE(at.ok());
  }
  const auto result = support::in_child({.limits = {{RLIMIT_NOFILE, 32}}},
                                        [&] { return mortise::image::tree_digest(root->get()).status(); });
  CHECK_MESSAGE(result.ok(), result.text);
  const std::atomic<bool> cancelled = true;
  CHECK(absl::IsCancelled(mortise::image::tree_digest(root->get(), &cancelled).status()));
}

TEST_CASE("tree_digest: many directories far down take little memory") {
  if (support::memory_is_not_ours()) return;
  const support::temporary_directory place;
  std::string deep = place.path();
  for (int level = 0; level < 15; ++level) REQUIRE(::mkdir((deep += '/' + std::string(250, 'd')).c_str(), 0700) == 0);
  const auto last = mortise::sys::open(deep, O_RDONLY | O_DIRECTORY);
  REQUIRE(last.ok());
  for (int each = 0; each < 20'000; ++each) REQUIRE(::mkdirat(last->get(), std::to_string(each).c_str(), 0700) == 0);
  const auto root = mortise::sys::open(place.path(), O_RDONLY | O_DIRECTORY);
  const auto outcome = support::in_child({}, [&] {
    rusage before{};
    rusage after{};
    (void)::getrusage(RUSAGE_SELF, &before);
    const bool done = mortise::image::tree_digest(root->get()).ok();
    (void)::getrusage(RUSAGE_SELF, &after);
    return done && after.ru_maxrss - before.ru_maxrss < 32L << 10;
  });
  CHECK(outcome.ok());
}
