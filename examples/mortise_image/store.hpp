// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The store that mortise-image's commands look after.

#include <unistd.h>

#include <mortise/base/status.hpp>
#include <string>

#include "../tool/sources.hpp"
#include "command.hpp"

namespace mortise_image {

/// Only the default one is made where it is missing: a directory that was named is there, or misspelt.
inline absl::StatusOr<tool::image_store> open_store(const session& of) {
  const std::string directory = of.store();
  if (!of.what.store.empty() && ::access(mortise::concat(directory, "/version").c_str(), F_OK) != 0)
    return mortise::error(absl::StatusCode::kNotFound,
                          mortise::concat("open image store '", directory, "': there is none (pull makes one)"));
  return tool::open_image_store(directory, of.sources());
}

}  // namespace mortise_image
