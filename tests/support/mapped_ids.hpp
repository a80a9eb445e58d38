// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Saying aloud that this kernel cannot show layers as other users'.

#include <mortise/rootfs/mapped_overlay.hpp>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace support {

/// Skips, and says true, without root or where the kernel, or the file system of temporary directories, maps no ids.
[[nodiscard]] inline bool missing_mapped_ids() {
  if (missing_root()) return true;
  const temporary_directory place;
  const absl::Status found = mortise::rootfs::mapped_overlay().probe(place.path());
  if (!found.ok()) skip("needs mapped ids: " + std::string(mortise::message(found)));
  return !found.ok();
}

}  // namespace support
