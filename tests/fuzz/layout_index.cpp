// SPDX-License-Identifier: Apache-2.0
/// \file
/// The index.json of an OCI image layout, from the directory to the manifests that a location names.

#include <fstream>
#include <fuzz/descriptors.hpp>
#include <fuzz/target.hpp>
#include <mortise/image/oci_layout.hpp>
#include <string>
#include <string_view>
#include <support/temporary.hpp>

namespace {

using namespace mortise;

absl::StatusOr<std::vector<model::descriptor>> roots(const std::string& layout, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const auto origin, image::oci_layout().open(concat("oci:", layout, name), layout));
  return origin->roots();
}

}  // namespace

/// Refused where no image could be chosen without a name.
absl::Status fuzz::target(std::string_view input) {
  static const support::temporary_directory layout;
  std::ofstream(layout / "oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
  std::ofstream(layout / "index.json", std::ios::binary) << input;
  const auto named = roots(layout.path(), ":1.0");
  if (accepted(named))
    for (const model::descriptor& each : *named) check_descriptor(each);
  const auto all = roots(layout.path(), "");
  if (!accepted(all)) return all.status();
  require(!all->empty(), "what was chosen is there");
  for (const model::descriptor& each : *all) check_descriptor(each);
  return absl::OkStatus();
}
