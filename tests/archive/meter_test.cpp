// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/meter.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>
#include <limits>
#include <string>

using mortise::message;
using mortise::archive::apply_request;
using mortise::archive::entry;
using mortise::archive::meter;
using namespace mortise::literals;

TEST_CASE("archive::meter stops at each limit") {
  apply_request request;
  request.limits.entries = 3;
  request.limits.unpacked = 100_B;
  request.limits.link_target = 5;
  entry about;
  {
    meter used(request);
    CHECK(used.count_entry(about).ok());
    CHECK(used.count_inode().ok());
    CHECK(used.count_entry(about).ok());
    CHECK(message(used.count_inode()) == "more than the 3 entries allowed (raise archive::limits if it is trusted)");
    CHECK(used.entries() == 2);
  }
  {
    meter used(request);
    about.size = 60;
    CHECK(used.count_entry(about).ok());
    CHECK(used.count_entry(about).code() == absl::StatusCode::kResourceExhausted);
    about.size = std::numeric_limits<std::uint64_t>::max();
    CHECK(used.count_entry(about).code() == absl::StatusCode::kResourceExhausted);
  }
  meter used(request);
  about.size = 0;
  about.link_target = "longer";
  CHECK(used.count_entry(about).code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("archive::meter reports now and then, and hears of cancellation and deadline") {
  std::atomic<bool> cancelled = false;
  int reports = 0;
  apply_request request;
  request.cancelled = &cancelled;
  request.progress = [&](std::uint64_t, std::uint64_t bytes) {
    ++reports;
    CHECK(bytes == static_cast<std::uint64_t>(reports) << 22);
  };
  meter used(request);
  for (int at = 0; at < 64; ++at) CHECK(used.count_bytes(1 << 18).ok());
  CHECK(reports == 4);
  CHECK(used.bytes() == 16 << 20);
  cancelled = true;
  CHECK(used.count_bytes(1).code() == absl::StatusCode::kCancelled);
  cancelled = false;
  request.deadline = std::chrono::steady_clock::now();
  CHECK(used.count_bytes(1).code() == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("archive::metered_reader stops reading when its meter says so") {
  std::atomic<bool> cancelled = false;
  apply_request request;
  request.cancelled = &cancelled;
  meter used(request);
  support::memory_reader source("abc", 1);
  mortise::archive::metered_reader reader(source, used);
  std::byte byte[1];
  CHECK(*reader.read(byte) == 1);
  cancelled = true;
  CHECK(reader.read(byte).status().code() == absl::StatusCode::kCancelled);
  CHECK(source.taken() == 1);
}
