// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One member of a tar archive as plain data, before anything in it is believed.

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::archive {

/// What tar can hold; there are no sockets in it.
enum class entry_type : std::uint8_t {
  regular,
  directory,
  symbolic_link,
  hard_link,
  character_device,
  block_device,
  fifo,
};

constexpr std::string_view name_of(entry_type type) {
  switch (type) {
    case entry_type::regular:
      return "regular file";
    case entry_type::directory:
      return "directory";
    case entry_type::symbolic_link:
      return "symbolic link";
    case entry_type::hard_link:
      return "hard link";
    case entry_type::character_device:
      return "character device";
    case entry_type::block_device:
      return "block device";
    case entry_type::fifo:
      return "FIFO";
  }
  return "unknown";
}

/// An extended attribute; the value is bytes.
struct xattr {
  std::string name;
  std::string value;
  bool operator==(const xattr&) const = default;
};

/// Names are bytes as they stand in the archive, in no particular encoding: not normalised, not checked, and
/// perhaps hostile. Owners are within the range of uid_t, modes within 07777, nanoseconds within a second.
struct entry {
  entry_type type = entry_type::regular;
  std::string path;
  std::string link_target;  ///< of a symbolic link, as it stands; of a hard link, relative to the archive's root
  std::uint64_t size = 0;   ///< the file's logical size, holes included
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;
  timespec accessed{};  ///< the time of modification, if the archive has no time of access
  timespec modified{};
  std::vector<xattr> xattrs;
};

}  // namespace mortise::archive
