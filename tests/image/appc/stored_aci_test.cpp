// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/stored_aci.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>
#include <image/appc/aci_scene.hpp>
#include <string>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::appc::read_stored;
using mortise::image::appc::tar_of_aci;

TEST_CASE("stored ACI: its size is the file's, its tar comes out of it more than once") {
  const support::temporary_directory place;
  const std::string tar = support::aci_tar(support::aci_manifest(), {"a", "b"});
  support::write_file(place / "a.aci", support::xz(tar));
  const auto file = mortise::image::open_file(AT_FDCWD, place / "a.aci");
  const auto stored = read_stored(*file, place / "a.aci", support::image_id(tar));
  REQUIRE_MESSAGE(stored.ok(), message(stored.status()));
  CHECK(stored->found().size == file->size);
  CHECK(stored->about->size == tar.size());
  CHECK(stored->found().id == support::image_id(tar));
  CHECK(stored->found().manifest->name == "example.com/app");
  for (int times = 0; times < 2; ++times) {
    const auto plain = tar_of_aci::open(*stored);
    REQUIRE(plain.ok());
    CHECK(*support::read_whole(**plain) == tar);
  }
}

TEST_CASE("stored ACI: failures name the file, made printable") {
  const support::temporary_directory place;
  support::write_file(place / "a.aci", "x");
  const auto stored = read_stored(*mortise::image::open_file(AT_FDCWD, place / "a.aci"), "https://x/\n", {});
  CHECK(message(stored.status()).starts_with("read ACI 'https://x/\\x0a': "));
}

TEST_CASE("stored ACI: reading ends when it is cancelled") {
  const support::temporary_directory place;
  support::write_file(place / "a.aci", support::aci_tar(support::aci_manifest(), {"a"}));
  const std::atomic<bool> cancelled = true;
  const auto file = mortise::image::open_file(AT_FDCWD, place / "a.aci");
  CHECK(read_stored(*file, "it", {}, {}, &cancelled).status().code() == absl::StatusCode::kCancelled);
}
