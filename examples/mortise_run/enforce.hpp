// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What an Appc image asks to be isolated by. Its rules are compiled in a file of their own.

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/enforcement.hpp>
#include <mortise/model/image_config.hpp>

namespace mortise_run {

/// What an image's isolators ask of mortise-run, which grants no more than `capabilities`.
absl::StatusOr<mortise::image::appc::enforcement> enforce(const mortise::model::image_config& image,
                                                          std::uint64_t capabilities);

}  // namespace mortise_run
