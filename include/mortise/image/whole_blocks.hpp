// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A stage that ends a tar at a whole block: some tools (umoci insert up to 0.4.7) leave out the padding after
/// the last file, as well as the end of the archive, and every unpacker but the strictest takes what they wrote.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>

namespace mortise::image {

/// Passes `from` (which must outlive it) on, and after its end the zeros up to the next multiple of 512 bytes.
class whole_blocks final : public reader {
 public:
  explicit whole_blocks(reader& from) : from_(from) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    std::size_t got = 0;
    if (!ended_) {
      MORTISE_ASSIGN_OR_RETURN(got, from_.read(into));
    }
    if (got == 0) {
      ended_ = true;
      got = std::min<std::size_t>(into.size(), (512 - total_ % 512) % 512);
      std::fill_n(into.begin(), got, std::byte{0});
    }
    total_ += got;
    return got;
  }

 private:
  reader& from_;
  std::uint64_t total_ = 0;
  bool ended_ = false;
};

}  // namespace mortise::image
