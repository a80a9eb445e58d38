// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An image that is ready to run: the value a store hands to a container.

#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/image_config.hpp>
#include <mortise/model/layer.hpp>
#include <optional>
#include <string>

namespace mortise::model {

/// Keeps an image's layers from being removed from their store as long as it lives, however that ends.
class hold {
 public:
  hold() = default;
  hold(const hold&) = delete;
  hold& operator=(const hold&) = delete;
  virtual ~hold() = default;

  /// And after that as long as there is a directory of this name, which is absolute and never used twice: a container
  /// may outlive the process that launched it.
  virtual absl::Status keep_while(const std::string& directory) = 0;
};

struct image {
  std::string location;            ///< as the caller named it
  std::optional<digest> manifest;  ///< what it was resolved to: the image's identity, if it has one
  image_config config;
  model::layers layers;          ///< unpacked, bottom first
  std::shared_ptr<hold> held{};  ///< null where nobody would remove them
};

/// An image that a container sees as a read-only volume.
struct image_volume {
  std::string image;   ///< as the store's sources read it
  std::string target;  ///< an absolute path in the container, made where it is missing
};

}  // namespace mortise::model
