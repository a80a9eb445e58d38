// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/entry.hpp>

#include <doctest/doctest.h>

using mortise::archive::entry_type;
using mortise::archive::name_of;

TEST_CASE("types of entries have names for messages") {
  CHECK(name_of(entry_type::regular) == "regular file");
  CHECK(name_of(entry_type::directory) == "directory");
  CHECK(name_of(entry_type::symbolic_link) == "symbolic link");
  CHECK(name_of(entry_type::hard_link) == "hard link");
  CHECK(name_of(entry_type::character_device) == "character device");
  CHECK(name_of(entry_type::block_device) == "block device");
  CHECK(name_of(entry_type::fifo) == "FIFO");
}
