// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/lease.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <mortise/digest/openssl.hpp>
#include <string>
#include <support/fork.hpp>
#include <support/temporary.hpp>
#include <thread>
#include <vector>

namespace {

using mortise::image::gate;
using mortise::image::lease;
using mortise::image::leased_image;
using mortise::image::read_leases;

struct scene {
  support::temporary_directory place;
  mortise::image::store_directory store = *mortise::image::store_directory::open(place / "store");

  static leased_image image(const char* name) {
    return {{*mortise::model::media_type::parse("a/b"), mortise::digest::of(name), 7, {}, {}, {}, {}, {}},
            mortise::digest::of("config")};
  }
  std::shared_ptr<lease> take(const char* name) const {
    const auto shared = gate::share(store);
    REQUIRE(shared.ok());
    auto out = lease::take(store, *shared, image(name));
    REQUIRE(out.ok());
    return *out;
  }
  std::vector<leased_image> read(bool shut = true) const {
    if (!shut) return *read_leases(store);
    const auto closed = gate::shut(store);
    REQUIRE(closed.ok());
    return *read_leases(store, &*closed);
  }
  std::size_t files() const { return support::names_in(place / "store/leases").size(); }
};

}  // namespace

TEST_CASE("lease: is read back while it is held, and gone with its holder") {
  const scene here;
  {
    const auto one = here.take("one");
    const auto two = here.take("two");
    for (const bool shut : {false, true}) {
      const auto leases = here.read(shut);
      REQUIRE(leases.size() == 2);
      const auto& first = leases[leases[0].manifest.digest == mortise::digest::of("one") ? 0 : 1];
      CHECK(first.manifest.digest == mortise::digest::of("one"));
      CHECK(first.manifest.size == 7);
      CHECK(first.manifest.type == "a/b");
      CHECK(first.config == mortise::digest::of("config"));
    }
  }
  CHECK(here.files() == 0);
}

TEST_CASE("lease: a killed process holds nothing, and what it left is removed behind the shut gate") {
  const scene here;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = here.take("one");
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  CHECK(here.files() == 1);
  CHECK(here.read(false).empty());
  CHECK(here.files() == 1);
  CHECK(here.read().empty());
  CHECK(here.files() == 0);
}

TEST_CASE("lease: lasts as long as the directory of a container that outlives its process") {
  const scene here;
  const std::string directory = here.place / "container";
  REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = here.take("one");
    (void)held->keep_while(directory);
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  CHECK(here.read().size() == 1);
  REQUIRE(::rmdir(directory.c_str()) == 0);
  CHECK(here.read().empty());
  CHECK(here.files() == 0);

  REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
  {
    const auto detached = here.take("two");  // the holder goes in good order, the container stays
    REQUIRE(detached->keep_while(directory).ok());
  }
  CHECK(here.read().size() == 1);
  {
    const auto destroyed = here.take("three");
    REQUIRE(destroyed->keep_while(here.place / "gone").ok());
  }
  CHECK(here.files() == 1);
}

TEST_CASE("lease: files that are none protect nothing and are cleared away") {
  const scene here;
  for (const char* const text : {"", "lease 1\nimage sha256:x 1 a/b\nconfig y\n", "lease 1\nimage", "\n\n\n"}) {
    const int fd = ::open((here.place / "store/leases/broken").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(mortise::sys::write_all(fd, std::string_view(text)).ok());
    ::close(fd);
    CHECK(here.read().empty());
    CHECK(here.files() == 0);
  }
}

TEST_CASE("lease: the gate is shared by any number and shut by one") {
  const scene here;
  auto first = gate::share(here.store);
  auto second = gate::share(here.store);
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  std::atomic<bool> shut = false;
  std::thread collector([&] {
    const auto closed = gate::shut(here.store);
    CHECK(closed.ok());
    shut = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    shut = false;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(shut);
  first = absl::CancelledError("let go");
  second = absl::CancelledError("let go");
  while (!shut) std::this_thread::yield();
  const auto third = gate::share(here.store);
  CHECK_FALSE(shut);
  collector.join();
}
