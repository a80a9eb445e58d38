// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/copy_inode.hpp>

#include <doctest/doctest.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <conformance/layers.hpp>
#include <support/deny.hpp>
#include <support/loop_disk.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

#include <array>
#include <cstdlib>

using namespace mortise;
using rootfs::content_copier;

namespace {

struct pair_of_files {
  sys::unique_fd from;
  sys::unique_fd to;
};

pair_of_files open_pair(const support::temporary_directory& directory) {
  return {sys::unique_fd(::open((directory / "from").c_str(), O_RDONLY)),
          sys::unique_fd(::open((directory / "to").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600))};
}

absl::Status copy_content(const support::temporary_directory& directory) {
  const auto [from, to] = open_pair(directory);
  struct stat about{};
  conformance::check(::fstat(from.get(), &about) == 0, "stat");
  return content_copier().copy(from.get(), to.get(), about);
}

/// Three megabytes that no block of repeats.
std::string long_text() {
  std::string text;
  for (unsigned number = 0; text.size() < 3'000'001; ++number) append(text, number, ' ');
  return text;
}

/// A file of a gibibyte with a word at its beginning, one in its middle and a hole at its end.
void make_sparse(const std::string& path) {
  const sys::unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT, 0600));
  conformance::check(::pwrite(file.get(), "first", 5, 0) == 5 && ::pwrite(file.get(), "middle", 6, 600 << 20) == 6 &&
                         ::ftruncate(file.get(), 1 << 30) == 0,
                     "make sparse file");
}

std::string check_sparse_copy(const std::string& path) {
  const sys::unique_fd file(::open(path.c_str(), O_RDONLY));
  std::array<char, 6> middle{};
  struct stat about{};
  if (::fstat(file.get(), &about) != 0 || about.st_size != 1 << 30) return "wrong size";
  if (about.st_blocks > 64) return "holes were filled";
  if (::pread(file.get(), middle.data(), 6, 600 << 20) != 6) return "cannot be read";
  return std::string(middle.data(), 6);
}

}  // namespace

TEST_CASE("copy inode: content of any size, on every way down to plain writing") {
  const support::temporary_directory directory;
  const std::string text = long_text();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, text.size()}) {
    conformance::write_file(directory / "from", text.substr(0, size));
    CHECK(copy_content(directory).ok());
    CHECK(*sys::read_file(directory / "to", 4 << 20) == text.substr(0, size));
    for (const int error : {ENOSYS, EXDEV, EPERM}) {
      const auto plain =
          support::deny({SYS_copy_file_range, SYS_ioctl}, error, [&] { return copy_content(directory); });
      CHECK(plain.text == "");
      CHECK(*sys::read_file(directory / "to", 4 << 20) == text.substr(0, size));
    }
  }
}

TEST_CASE("copy inode: bytes are shared where the file system can share them") {
  const auto disk = support::loop_disk::make<support::xfs_reflinks>();
  if (!disk) return;
  constexpr std::size_t size = 8 << 20;
  const auto free_bytes = [&] {
    struct statvfs about{};
    REQUIRE(::statvfs(disk->path().c_str(), &about) == 0);
    return about.f_bfree * about.f_frsize;
  };
  conformance::write_file(*disk / "from", std::string(size, 'x'));
  REQUIRE(std::system(("sync -f " + disk->path()).c_str()) == 0);
  const auto before = free_bytes();
  // copy_file_range(2) may share too: what is asked first is the ioctl.
  const auto copied = support::deny({SYS_copy_file_range}, ENOSYS, [&] {
    const sys::unique_fd from(::open((*disk / "from").c_str(), O_RDONLY));
    const sys::unique_fd to(::open((*disk / "to").c_str(), O_WRONLY | O_CREAT, 0600));
    struct stat about{};
    conformance::check(::fstat(from.get(), &about) == 0, "stat");
    return content_copier().copy(from.get(), to.get(), about);
  });
  CHECK(copied.text == "");
  REQUIRE(std::system(("sync -f " + disk->path()).c_str()) == 0);
  CHECK(before - free_bytes() < size / 4);
  CHECK(*sys::read_file(*disk / "to", size + 1) == std::string(size, 'x'));
}

TEST_CASE("copy inode: holes stay holes, on every way") {
  const support::temporary_directory directory;
  make_sparse(directory / "from");
  CHECK(copy_content(directory).ok());
  CHECK(check_sparse_copy(directory / "to") == "middle");
  CHECK(support::deny({SYS_copy_file_range}, ENOSYS, [&] { return copy_content(directory); }).ok());
  CHECK(check_sparse_copy(directory / "to") == "middle");
}

TEST_CASE("copy inode: a file of nothing but a hole") {
  const support::temporary_directory directory;
  conformance::write_file(directory / "from", "");
  REQUIRE(::truncate((directory / "from").c_str(), 1 << 20) == 0);
  CHECK(copy_content(directory).ok());
  CHECK(*sys::read_file(directory / "to", 2 << 20) == std::string(1 << 20, '\0'));
}

TEST_CASE("copy inode: a full file system is said, not passed over") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const support::temporary_tmpfs small(64 << 10);
  conformance::write_file(directory / "from", long_text());
  const sys::unique_fd from(::open((directory / "from").c_str(), O_RDONLY));
  const sys::unique_fd to(::open((small / "to").c_str(), O_WRONLY | O_CREAT, 0600));
  struct stat about{};
  REQUIRE(::fstat(from.get(), &about) == 0);
  const absl::Status full = content_copier().copy(from.get(), to.get(), about);
  CHECK(errno_of(full) == ENOSPC);
  CHECK(message(full) == "write: No space left on device");
}

TEST_CASE("copy inode: a file that has shrunk is data loss, not an endless loop") {
  const support::temporary_directory directory;
  conformance::write_file(directory / "from", "text");
  const auto [from, to] = open_pair(directory);
  struct stat about{};
  REQUIRE(::fstat(from.get(), &about) == 0);
  about.st_size = 100;
  about.st_blocks = 8;
  CHECK(content_copier().copy(from.get(), to.get(), about).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("copy inode: which attributes are kept depends on privileges") {
  using rootfs::keeps_xattr;
  CHECK(keeps_xattr<model::overlay_layers>("security.capability"));
  CHECK(keeps_xattr<model::overlay_layers>("user.note"));
  CHECK_FALSE(keeps_xattr<model::overlay_layers>("trusted.overlay.origin"));
  CHECK_FALSE(keeps_xattr<model::overlay_layers>("user.overlay.opaque"));
  CHECK_FALSE(keeps_xattr<model::unprivileged_overlay_layers>("security.capability"));
  CHECK(keeps_xattr<model::unprivileged_overlay_layers>("user.note"));
}

TEST_CASE("copy inode: attributes survive each other, on opened files and on links") {
  if (support::missing_root()) return;
  const support::temporary_directory directory;
  const std::string capability("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  conformance::layer_set<model::overlay_layers> layers(directory / "layer-");
  layers.add({conformance::file("from", "x", 06511).with_owner(12).with_xattr("security.capability", capability),
              conformance::symlink("link", "nowhere").with_owner(13)});
  layers.add({conformance::file("from", "x", 0600), conformance::symlink("link", "nowhere")});
  for (const std::string name : {"/from", "/link"}) {
    const sys::unique_fd from(::open((layers.all()[0].directory + name).c_str(), O_PATH | O_NOFOLLOW));
    const sys::unique_fd to(::open((layers.all()[1].directory + name).c_str(), O_PATH | O_NOFOLLOW));
    struct stat wanted{}, got{};
    REQUIRE(::fstat(from.get(), &wanted) == 0);
    CHECK(rootfs::copy_attributes<model::overlay_layers>(from.get(), to.get(), wanted) == absl::OkStatus());
    REQUIRE(::fstat(to.get(), &got) == 0);
    CHECK(got.st_mode == wanted.st_mode);
    CHECK(got.st_uid == wanted.st_uid);
    CHECK(got.st_gid == wanted.st_gid);
    CHECK(got.st_atim.tv_sec == wanted.st_atim.tv_sec);
    CHECK(got.st_mtim.tv_nsec == wanted.st_mtim.tv_nsec);
    CHECK(*sys::list_xattrs(to.get()) == *sys::list_xattrs(from.get()));
  }
}

TEST_CASE("copy inode: a new file's mode becomes the other's, whatever the umask and the directory") {
  const support::temporary_directory directory;
  REQUIRE(::chmod(directory.path().c_str(), 02700) == 0);
  const mode_t before = ::umask(077);
  for (const mode_t mode : {0644U, 0444U, 0000U, 0666U, 04755U, 02711U, 01777U}) {
    const sys::unique_fd from(::open((directory / "from").c_str(), O_RDWR | O_CREAT, 0600));
    REQUIRE(::fchmod(from.get(), mode) == 0);
    struct stat wanted{}, got{};
    REQUIRE(::fstat(from.get(), &wanted) == 0);
    const sys::unique_fd to(::open((directory / "to").c_str(), O_RDWR | O_CREAT | O_EXCL, rootfs::first_mode(wanted)));
    CHECK(rootfs::copy_attributes<model::unprivileged_overlay_layers>(from.get(), to.get(), wanted).ok());
    REQUIRE(::fstat(to.get(), &got) == 0);
    CHECK(got.st_mode == wanted.st_mode);
    CHECK(rootfs::make_upper_like<model::unprivileged_overlay_layers>(from.get(), directory / "upper").ok());
    REQUIRE(::stat((directory / "upper").c_str(), &got) == 0);
    CHECK((got.st_mode & 07777) == (wanted.st_mode & 07777));
    for (const char* const each : {"from", "to"}) REQUIRE(::unlink((directory / each).c_str()) == 0);
    REQUIRE(::rmdir((directory / "upper").c_str()) == 0);
  }
  ::umask(before);
}
