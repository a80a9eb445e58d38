// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What all decoders have in common: members (gzip), frames (zstd) or streams (bzip2, xz) that follow each other until
/// the source ends, and which must not end in the middle of one.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/input.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// One step of a decoder: how much of both sides it used up, and whether a member is complete.
struct decoded {
  std::size_t taken = 0;
  std::size_t made = 0;
  bool member_ended = false;
};

/// A library that decodes one member after another. `begin` comes before each member; `step` decodes from and
/// into what it is given, either of which may be tiny. It fails with DATA_LOSS for damage, and RESOURCE_EXHAUSTED for
/// what would cost more than is allowed.
template <class Type>
concept decoder = requires(Type type, std::span<const std::byte> from, std::span<std::byte> into) {
  { Type::format } -> std::convertible_to<std::string_view>;
  { type.begin() } -> std::same_as<absl::Status>;
  { type.step(from, into) } -> std::same_as<absl::StatusOr<decoded>>;
};

/// Effects: reads `source` (which must outlive it) to its end, so that whatever verifies the compressed bytes
/// sees all of them.
/// Fails with: DATA_LOSS for damaged or truncated data and for anything behind the last member that is not a
/// member; RESOURCE_EXHAUSTED from the decoder; the source's own failure as it is. Once failed it keeps failing.
template <decoder Decoder>
class decoding_reader final : public reader {
 public:
  /// `options` go to the decoder.
  template <class... Options>
  explicit decoding_reader(reader& source, Options... options) : input_(source), decoder_(options...) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    if (!failure_.ok()) return failure_;
    auto made = decode(into);
    failure_ = made.status();
    return made;
  }

 private:
  absl::StatusOr<std::size_t> decode(std::span<std::byte> into) {
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const bool more, input_.fill());
      if (!more && !in_member_ && members_ > 0) return std::size_t{0};
      if (!more && flushed_) return damaged(members_ == 0 && !in_member_ ? "it is empty" : "it is truncated");
      if (!in_member_) {
        MORTISE_RETURN_IF_ERROR(decoder_.begin());
        in_member_ = true;
      }
      auto step = decoder_.step(input_.rest(), into);
      if (absl::IsResourceExhausted(step.status()))
        return annotate(step.status(), concat("decompress ", Decoder::format));
      if (!step.ok()) return damaged(members_ > 0 && at_start_ ? "there is garbage behind it" : message(step.status()));
      if (more && step->taken == 0 && step->made == 0 && !step->member_ended) return damaged("it makes no progress");
      input_.take(step->taken);
      // A decoder that made nothing has nothing left to give for the input it had: only then is an end truncation.
      flushed_ = step->made == 0;
      at_start_ = step->member_ended || (at_start_ && step->made == 0);
      if (step->member_ended) {
        in_member_ = false;
        ++members_;
      }
      if (step->made > 0) return step->made;
    }
  }

  static absl::Status damaged(std::string_view cause) {
    return error(absl::StatusCode::kDataLoss, concat("decompress ", Decoder::format, ": ", cause));
  }

  input input_;
  Decoder decoder_;
  std::uint64_t members_ = 0;
  bool in_member_ = false;
  bool at_start_ = true;  ///< of a member: nothing of it has come out yet
  bool flushed_ = true;
  absl::Status failure_;
};

}  // namespace mortise::archive
