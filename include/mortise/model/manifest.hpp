// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Manifests and indexes: OCI image-spec manifest.md and image-index.md; Docker's schema 2 is the same in
/// other media types.

#include <mortise/model/descriptor.hpp>
#include <string>
#include <vector>

namespace mortise::model {

/// One image for one platform: its configuration, and its layers with the bottom one first.
struct manifest {
  media_type type;
  descriptor config;
  std::vector<descriptor> layers;
  std::string artifact_type;  ///< not empty: content that is no image
  model::annotations annotations;
};

/// Several manifests (or further indexes) to choose from.
struct index {
  media_type type;
  std::vector<descriptor> manifests;
  model::annotations annotations;
};

}  // namespace mortise::model
