// SPDX-License-Identifier: Apache-2.0
#include <mortise/sys/loop.hpp>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using namespace mortise;

TEST_CASE("a loop device shows a file, read-only, for as long as it is open") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const std::string path = place.path() + "/image";
  const auto file = sys::open(path, O_RDWR | O_CREAT, 0600);
  REQUIRE(file.ok());
  REQUIRE(sys::write_all(file->get(), std::string(1024, 'a') + std::string(1024, 'b')).ok());
  std::string device;
  {
    const auto made = sys::attach_loop(file->get());
    if (!made.ok() && absl::IsNotFound(made.status())) return support::skip(message(made.status()));
    REQUIRE(made.ok());
    device = made->path;
    char text[2048] = {};
    CHECK(::pread(made->fd.get(), text, sizeof text, 0) == sizeof text);
    CHECK(std::string(text, 2) + std::string(text + 1024, 2) == "aabb");
    const auto writable = sys::open(device, O_WRONLY);
    const bool refused = !writable.ok() || ::write(writable->get(), text, 1024) < 0 || ::fsync(writable->get()) != 0;
    CHECK(refused);
  }
  // The kernel may take a moment to let go.
  int bound = 0;
  for (int attempt = 0; attempt < 100; ++attempt) {
    bound = ::access(("/sys/block/" + device.substr(5) + "/loop/backing_file").c_str(), F_OK);
    if (bound != 0) break;
    ::usleep(10'000);
  }
  CHECK(bound != 0);
  const auto refused = sys::attach_loop(-1);
  CHECK(errno_of(refused.status()) == EBADF);
}

TEST_CASE("of many who want a loop device at once each gets one") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto file = sys::open(place / "image", O_RDWR | O_CREAT, 0600);
  REQUIRE(file.ok());
  REQUIRE(sys::write_all(file->get(), std::string(4096, 'a')).ok());
  const auto probe = sys::attach_loop(file->get());
  if (!probe.ok() && absl::IsNotFound(probe.status())) return support::skip(message(probe.status()));
  const auto start = sys::make_pipe();
  REQUIRE(start.ok());
  std::vector<pid_t> children;
  for (int each = 0; each < 64; ++each) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    char byte = 0;
    (void)!::read(start->read.get(), &byte, 1);
    bool all = true;
    for (int time = 0; time < 30 && all; ++time) all = sys::attach_loop(file->get()).ok();
    ::_exit(all ? 0 : 1);
  }
  const std::string go(children.size(), 'g');
  CHECK(sys::write_all(start->write.get(), go).ok());
  int failed = 0;
  for (const pid_t each : children) {
    int status = 0;
    failed += ::waitpid(each, &status, 0) == each && status == 0 ? 0 : 1;
  }
  CHECK(failed == 0);
}
