// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An image that is ready to run: the value a store hands to a container.

#include <mortise/model/digest.hpp>
#include <mortise/model/image_config.hpp>
#include <mortise/model/layer.hpp>
#include <optional>
#include <string>

namespace mortise::model {

struct image {
  std::string location;            ///< as the caller named it
  std::optional<digest> manifest;  ///< what it was resolved to: the image's identity, if it has one
  image_config config;
  model::layers layers;  ///< unpacked, bottom first
};

}  // namespace mortise::model
