// SPDX-License-Identifier: Apache-2.0
/// \file
/// Packed blobs: the bytes that come out depend neither on the pieces that go in, nor on which library unpacks them.

#include <algorithm>
#include <digest/memory_reader.hpp>
#include <fuzz/target.hpp>
#include <mortise/archive/decompress.hpp>
#include <mortise/archive/isal.hpp>
#include <mortise/archive/zlib.hpp>
#include <span>
#include <string>
#include <string_view>

namespace {

using namespace mortise;

constexpr archive::limits caps{.unpacked = 128_KiB, .zstd_window_log = 23};

struct outcome {
  std::string text;
  absl::Status status;
};

/// All that comes out until the end, a failure, or the cap.
outcome drained(reader& from, std::size_t piece) {
  outcome out;
  std::string buffer(piece, '\0');
  while (out.text.size() <= caps.unpacked.count) {
    const auto got = from.read(std::as_writable_bytes(std::span(buffer)));
    out.status = got.status();
    if (!got.ok() || *got == 0) break;
    out.text.append(buffer, 0, *got);
  }
  return out;
}

outcome unpacked(std::string_view input, std::size_t piece) {
  support::memory_reader source(std::string(input), piece);
  const auto plain = archive::decompress(source, caps);
  if (!plain.ok()) return {{}, plain.status()};
  outcome out = drained(**plain, std::max<std::size_t>(piece, 7));
  fuzz::require(!out.status.ok() || source.taken() == input.size(), "a blob is read to its end");
  return out;
}

template <class Reader>
outcome inflated(std::string_view input) {
  support::memory_reader source{std::string(input)};
  Reader plain(source);
  return drained(plain, 4096);
}

/// Both may stop at different places, but never disagree on what came before. libzstd holds a frame to the length that
/// it states only where it has all of it at once: it may find damage in one case that it does not find in the other.
void check_same(const outcome& one, const outcome& other, archive::compression kind, std::string_view what) {
  const bool capped = absl::IsResourceExhausted(one.status) || absl::IsResourceExhausted(other.status);
  fuzz::require(one.status.code() == other.status.code() || capped || kind == archive::compression::zstd, what,
                concat(message(one.status), " / ", message(other.status)));
  const std::size_t common = std::min(one.text.size(), other.text.size());
  fuzz::require(one.text.compare(0, common, other.text, 0, common) == 0, what);
  fuzz::require(!one.status.ok() || !other.status.ok() || one.text.size() == other.text.size(), what);
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  const outcome whole = unpacked(input, 64 * 1024);
  accepted(whole.status);
  require(whole.text.size() <= caps.unpacked.count, "the cap holds");
  const archive::compression kind = archive::detect_compression(input);
  check_same(whole, unpacked(input, 1), kind, "a blob in single bytes is the same");
  if (kind == archive::compression::gzip)
    check_same(inflated<archive::isal_reader>(input), inflated<archive::zlib_reader>(input), kind, "libraries agree");
  return whole.status;
}
