// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A reader that passes bytes through and reaches its end only if they were the promised ones.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/digest/hasher.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace mortise::digest {

/// Effects: reads `source` (which must outlive it) and never more than one byte beyond a promised size, so that an
/// endless source ends early. The bytes handed out before the end are not verified yet: whoever acts on them must
/// be able to undo it, and must read to the end.
/// Fails with: DATA_LOSS naming `subject`, what was expected and what came, for a wrong size or digest; the
/// source's own failure as it is. Once failed it keeps failing.
template <hasher Hasher>
class verifying_reader final : public reader {
 public:
  verifying_reader(reader& source, model::digest expected, std::optional<std::uint64_t> size, std::string subject)
      : source_(source),
        expected_(std::move(expected)),
        size_(size),
        subject_(std::move(subject)),
        hash_(expected_.algorithm()) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    if (!outcome_) {
      auto got = pass(into);
      if (got.ok() && *got > 0) return got;
      outcome_ = got.status();
    }
    if (!outcome_->ok()) return *outcome_;
    return std::size_t{0};
  }

  /// Reads what is left, so that bytes behind the part somebody cared about are verified too. OK only if all of
  /// the stream was right.
  absl::Status drain() { return mortise::drain(*this); }

  /// How many bytes have been handed out.
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  /// A size is checked before its bytes are hashed: a source that sends too much costs one byte, not a hash.
  absl::StatusOr<std::size_t> pass(std::span<std::byte> into) {
    if (into.empty()) return error(absl::StatusCode::kInvalidArgument, concat("read ", subject_, ": into no space"));
    if (size_ && *size_ - count_ < into.size()) into = into.first(static_cast<std::size_t>(*size_ - count_) + 1);
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source_.read(into));
    if (got == 0) return finish();
    count_ += got;
    if (size_ && count_ > *size_) return wrong(concat("it is longer than the ", *size_, " bytes expected"));
    hash_.update(into.first(got));
    return got;
  }

  absl::StatusOr<std::size_t> finish() {
    if (size_ && count_ < *size_) return wrong(concat("it ends after ", count_, " of the ", *size_, " bytes expected"));
    const model::digest actual = hash_.finish();
    if (actual != expected_) return wrong(concat("its digest is ", actual.text(), ", expected ", expected_.text()));
    return std::size_t{0};
  }

  [[nodiscard]] absl::Status wrong(std::string_view cause) const {
    return error(absl::StatusCode::kDataLoss, concat("verify ", subject_, ": ", cause));
  }

  reader& source_;
  model::digest expected_;
  std::optional<std::uint64_t> size_;
  std::string subject_;
  Hasher hash_;
  std::uint64_t count_ = 0;
  std::optional<absl::Status> outcome_;
};

}  // namespace mortise::digest
