// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/xz.hpp>

#include <doctest/doctest.h>

#include <archive/pack_more.hpp>
#include <archive/stream_suite.hpp>

using mortise::archive::limits;
using mortise::archive::xz_reader;
using namespace mortise::literals;

TEST_CASE("archive::xz_reader does what every decoder must") { support::stream_suite<xz_reader>("xz", support::xz); }

TEST_CASE("archive::xz_reader reads the largest preset, and refuses what needs more memory than is allowed") {
  const std::string text = support::sample_text(100'000);
  const std::string blob = support::xz(text, 9);
  CHECK(*support::unpacked<xz_reader>(blob) == text);
  support::memory_reader source(blob);
  xz_reader small(source, limits{.xz_memory = 32_MiB});
  const absl::Status status = support::read_whole(small).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(mortise::message(status) ==
        "decompress xz: it needs more than the 33554432 bytes of memory allowed (raise archive::limits if it is "
        "trusted)");
}

TEST_CASE("archive::xz_reader ends whatever a malformed stream says (CVE-2021-20291)") {
  const std::string blob = support::xz(support::sample_text(20'000));
  const auto fails = [](const std::string& bad) { return !support::unpacked<xz_reader>(bad, 64, 100).ok(); };
  for (std::size_t at = 0; at < blob.size(); at += at < 64 ? 1 : 37) {
    std::string bad = blob;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    CHECK(fails(bad));
    CHECK(fails(blob.substr(0, at)));
  }
  CHECK(support::failure_of<xz_reader>(std::string("\xfd\x37zXZ\0", 6) + std::string(5000, '\0')) ==
        "decompress xz: invalid data");
  CHECK(support::failure_of<xz_reader>("no xz at all") == "decompress xz: this is no xz stream");
}
