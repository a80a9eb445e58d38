// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A stage that counts what passes, and ends the stream when the work is no longer wanted.

#include <cstddef>
#include <cstdint>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <utility>

namespace mortise::image {

/// `each(total)` is asked for each piece, with the bytes so far; what it returns, unless OK, ends the stream.
template <class Each>
class metered_reader final : public reader {
 public:
  metered_reader(reader& from, Each each) : from_(from), each_(std::move(each)) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from_.read(into));
    total_ += got;
    MORTISE_RETURN_IF_ERROR(each_(total_));
    return got;
  }

 private:
  reader& from_;
  Each each_;
  std::uint64_t total_ = 0;
};

}  // namespace mortise::image
