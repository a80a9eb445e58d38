// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// For targets that read tar: inputs are changed as ever, and then get the checksums right, without which next to
/// none would be looked at. Included by one source of a target.

#include <algorithm>
#include <archive/tar_builder.hpp>
#include <cstddef>
#include <cstdint>
#include <mortise/base/text.hpp>
#include <string_view>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

/// Follows the headers as a reader of tar would; one in eight inputs is left with whatever checksums it has.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  constexpr std::size_t block = 512;
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 == 0) return size;
  for (std::size_t at = 0; size - at >= block;) {
    char* const header = reinterpret_cast<char*>(data) + at;
    if (std::all_of(header, header + block, [](char each) { return each == 0; })) break;
    support::tar_builder::checksum(header);
    const std::string_view digits = std::string_view(header + 124, 11);
    const auto length = mortise::parse_number<std::uint64_t>(digits.substr(0, digits.find('\0')), 8);
    const std::uint64_t blocks = length.value_or(0) / block + (length.value_or(0) % block != 0 ? 1 : 0);
    if (blocks >= (size - at) / block) break;
    at += block * (1 + static_cast<std::size_t>(blocks));
  }
  return size;
}
