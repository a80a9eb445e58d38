// SPDX-License-Identifier: Apache-2.0
// Part of mortise-run: what Appc images ask to be isolated by.
#include "enforce.hpp"

#include <mortise/image/appc/enforce.hpp>

namespace mortise_run {

absl::StatusOr<mortise::image::appc::enforcement> enforce(const mortise::model::image_config& image,
                                                          std::uint64_t capabilities) {
  return mortise::image::appc::enforce(image, {.capabilities = capabilities});
}

}  // namespace mortise_run
