// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Chain IDs: what a layer is together with everything below it (OCI image-spec config.md, "Layer ChainID").
/// Needs: libcrypto.

#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/model/digest.hpp>
#include <vector>

namespace mortise::image {

/// One for each layer, bottom first.
inline std::vector<model::digest> chain_ids(const std::vector<model::digest>& diff_ids) {
  std::vector<model::digest> out;
  out.reserve(diff_ids.size());
  for (const model::digest& each : diff_ids)
    out.push_back(out.empty() ? each : digest::of(concat(out.back().text(), ' ', each.text())));
  return out;
}

}  // namespace mortise::image
