// SPDX-License-Identifier: Apache-2.0
/// \file
/// Whole Appc images: the layout of the archive, and the manifest within.

#include <digest/memory_reader.hpp>
#include <fuzz/manifests_of_appc.hpp>
#include <fuzz/tar_mutator.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/appc/aci.hpp>
#include <mortise/image/json.hpp>
#include <string>
#include <string_view>

absl::Status fuzz::target(std::string_view input) {
  support::memory_reader source{std::string(input)};
  const mortise::archive::limits limits{.unpacked = {1 << 20}, .entries = 500};
  const auto image = mortise::image::appc::read_aci(source, {.subject = "ACI", .expected = {}, .limits = limits});
  if (!accepted(image)) return image.status();
  require(source.taken() == input.size(), "an image is read to its end, so that all of it was hashed");
  require(image->size <= limits.unpacked.count && image->entries <= limits.entries, "limits hold");
  check_manifest(image->manifest);
  const auto again = mortise::image::appc::parse_image_manifest(image->manifest_text, "manifest");
  require(again.ok() && again->name == image->manifest.name, "the manifest's text is the manifest's");
  support::memory_reader once_more{std::string(input)};
  const auto same =
      mortise::image::appc::read_aci(once_more, {.subject = "ACI", .expected = image->id, .limits = limits});
  require(same.ok(), "an image is what its own ID says", mortise::message(same.status()));
  return absl::OkStatus();
}
