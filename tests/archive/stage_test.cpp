// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/stage.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <digest/memory_reader.hpp>
#include <string>

namespace {

/// A toy format: a digit says how many bytes follow, and they are the member.
class counted_decoder {
 public:
  static constexpr std::string_view format = "counted";

  absl::Status begin() {
    left_ = -1;
    return absl::OkStatus();
  }
  absl::StatusOr<mortise::archive::decoded> step(std::span<const std::byte> from, std::span<std::byte> into) {
    mortise::archive::decoded result;
    if (left_ < 0 && !from.empty()) {
      left_ = static_cast<int>(from[0]) - '0';
      if (left_ < 0 || left_ > 9) return mortise::error(absl::StatusCode::kDataLoss, "no digit");
      result.taken = 1;
    }
    while (left_ > 0 && result.taken < from.size() && result.made < into.size()) {
      into[result.made++] = from[result.taken++];
      --left_;
    }
    result.member_ended = left_ == 0;
    return result;
  }

 private:
  int left_ = -1;
};
using counted_reader = mortise::archive::decoding_reader<counted_decoder>;
static_assert(mortise::archive::decoder<counted_decoder>);

absl::StatusOr<std::string> decode(const std::string& text, std::size_t in, std::size_t out) {
  support::memory_reader source(text, in);
  counted_reader reader(source);
  return support::read_whole(reader, out);
}

}  // namespace

TEST_CASE("archive::decoding_reader joins members, whatever the sizes of the pieces") {
  for (const std::size_t in : {1U, 2U, 100U})
    for (const std::size_t out : {1U, 3U, 100U})
      CHECK(*decode("3abc0"
                    "2de9123456789",
                    in, out) == "abcde123456789");
}

TEST_CASE("archive::decoding_reader tells truncation, garbage and damage apart") {
  const auto why = [](const std::string& text) { return std::string(mortise::message(decode(text, 1, 10).status())); };
  CHECK(why("") == "decompress counted: it is empty");
  CHECK(why("3ab") == "decompress counted: it is truncated");
  CHECK(why("2ab9") == "decompress counted: it is truncated");
  CHECK(why("2abx") == "decompress counted: there is garbage behind it");
  CHECK(why("x") == "decompress counted: no digit");
}

TEST_CASE("archive::decoding_reader does not spin when it is given no space") {
  support::memory_reader source("3abc");
  counted_reader reader(source);
  CHECK_FALSE(reader.read({}).ok());
}
