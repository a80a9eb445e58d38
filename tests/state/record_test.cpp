// SPDX-License-Identifier: Apache-2.0
#include <mortise/state/record.hpp>

#include <doctest/doctest.h>

#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/temporary.hpp>

using mortise::container_id;
using mortise::state::phase;
using mortise::state::record;

TEST_CASE("record: is on disk before the step that it names" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  const support::leak_snapshot before;
  {
    auto made = record::create(state.path(), *container_id::parse("one"), "overlay", "/roots/one");
    REQUIRE_MESSAGE(made.ok(), made.status().ToString());
    const auto text = [&] { return mortise::sys::read_file(state / "one/record").value(); };
    const std::string boot = *mortise::state::boot_id();
    CHECK(text() == R"({"version":1,"id":"one","boot":")" + boot +
                        R"(","phase":"provisioning","backend":"overlay","directory":"/roots/one","isolators":[]})"
                        "\n");
    CHECK(made->set("first", 1, "a").ok());
    CHECK(made->set("second", 2, std::string("\"\\\n\0\xff/", 6)).ok());
    CHECK(made->set("first", 3, "b").ok());
    CHECK(::fcntl(made->process(), F_GETFD) == FD_CLOEXEC);
    CHECK(made->enter(phase::running).ok());
    CHECK(made->process() == -1);  // the lock alone stays open
    CHECK(text().find(R"("phase":"running")") != std::string::npos);
    CHECK(text().find(R"("isolators":[{"name":"first","version":3,"record":"b"},)"
                      R"({"name":"second","version":2,"record":"\"\\\u000a\u0000\u00ff/"}])") != std::string::npos);
    struct stat about{};
    REQUIRE(::stat((state / "one").c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0700);
    CHECK(made->remove().ok());
    CHECK(::access((state / "one").c_str(), F_OK) != 0);
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("record: an id is taken as long as it is recorded" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  const auto id = *container_id::parse("one");
  {
    const auto made = record::create(state.path(), id, "overlay", "/x");
    REQUIRE(made.ok());
    CHECK(record::create(state.path(), id, "overlay", "/x").status().code() == absl::StatusCode::kAlreadyExists);
  }
  CHECK(record::create(state.path(), id, "overlay", "/x").status().code() == absl::StatusCode::kAlreadyExists);
  CHECK(record::create(state.path(), *container_id::parse("lock"), "overlay", "/x").status().code() ==
        absl::StatusCode::kAlreadyExists);
}

TEST_CASE("record: what cannot be written leaves nothing" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  const auto full = support::in_child({.limits = {{RLIMIT_FSIZE, 0}}}, [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    return record::create(state.path(), *container_id::parse("one"), "overlay", "/x").status();
  });
  CHECK(full.text == "record container 'one': replace 'record': write: File too large");
  CHECK(::access((state / "one").c_str(), F_OK) != 0);
  CHECK(record::create("/nowhere", *container_id::parse("one"), "x", "/x").status().code() ==
        absl::StatusCode::kNotFound);
}
