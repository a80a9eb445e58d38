// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Packed images without content, and whether this kernel can mount them.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <mortise/base/text.hpp>
#include <mortise/rootfs/erofs_probe.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace support {

/// Skips, and says true, where no packed image can be mounted. Asks as root only.
[[nodiscard]] inline bool missing_erofs() {
  static const std::string reason = [] {
    const temporary_directory place;
    const absl::Status status = mortise::rootfs::probe_erofs(place.path(), mortise::rootfs::erofs_way::any);
    return status.ok() ? std::string() : "needs EROFS in blocks of 512 bytes: " + std::string(mortise::message(status));
  }();
  if (!reason.empty()) skip(reason);
  return !reason.empty();
}

/// Makes the smallest image in a new directory, and opens that.
inline mortise::sys::unique_fd smallest_image(const std::string& path) {
  static constexpr auto image = mortise::rootfs::detail::smallest_erofs();
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  auto directory = mortise::sys::open(path, O_RDONLY | O_DIRECTORY);
  REQUIRE(directory.ok());
  REQUIRE(mortise::sys::replace_file_at(directory->get(), "index", {image.data(), image.size()}).ok());
  return *std::move(directory);
}

/// How many mounts of a type this process sees.
inline int mounts_named(std::string_view type) {
  const auto table = mortise::sys::read_file("/proc/self/mountinfo", 16 << 20);
  REQUIRE(table.ok());
  int count = 0;
  for (const std::string_view line : mortise::split(*table, '\n'))
    count += line.find(mortise::concat(" - ", type, ' ')) != std::string_view::npos ? 1 : 0;
  return count;
}

}  // namespace support
