// SPDX-License-Identifier: Apache-2.0
/// \file
/// Archives of images as users hand them over (docker-archive:, oci-archive:): their index, the documents within, and
/// the blobs that those name.

#include <fstream>
#include <fuzz/descriptors.hpp>
#include <fuzz/tar_mutator.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>

namespace {

using namespace mortise;

template <class Source>
absl::Status check(std::string_view scheme, const std::string& file, const std::string& scratch) {
  auto opened = Source().open(concat(scheme, file), scratch);
  if (!fuzz::accepted(opened)) return opened.status();
  const auto roots = (*opened)->roots();
  if (!fuzz::accepted(roots)) return roots.status();
  for (const model::descriptor& each : *roots) {
    fuzz::check_descriptor(each);
    fuzz::accepted((*opened)->open_blob(each));
  }
  return absl::OkStatus();
}

}  // namespace

/// Refused where it is neither kind of archive.
absl::Status fuzz::target(std::string_view input) {
  static const support::temporary_directory place;
  const std::string file = place / "image.tar";
  std::ofstream(file, std::ios::binary) << input;
  const absl::Status docker = check<image::docker_archive>("docker-archive:", file, place.path());
  const absl::Status oci = check<image::oci_layout>("oci-archive:", file, place.path());
  return docker.ok() ? docker : oci;
}
