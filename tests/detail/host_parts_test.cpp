// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/host_parts.hpp>

#include <doctest/doctest.h>

#include <mortise/base/id.hpp>
#include <mortise/state/record.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/temporary.hpp>

using namespace mortise;

TEST_CASE("host_parts: what isolators record is in their container's record" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const container_id id = container_id::random();
  auto record = state::record::create(place.path(), id, "overlay", "/root");
  REQUIRE_MESSAGE(record.ok(), std::string(message(record.status())));
  detail::container_recorder recorder(*record);
  isolate::recorder& seen = recorder;
  REQUIRE(seen.record("cgroup", 3, "text of its own").ok());
  const auto all = sys::read_file(place / (std::string(id.text()) + "/record"));
  REQUIRE(all.ok());
  CHECK(all->find("text of its own") != std::string::npos);
  REQUIRE(record->remove().ok());
}
