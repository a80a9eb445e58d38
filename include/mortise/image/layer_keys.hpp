// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Under which names a store keeps the unpacked layers of an image. Needs: RapidJSON, libcrypto.

#include <cstddef>
#include <mortise/image/chain.hpp>
#include <mortise/image/layer_view.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/model/digest.hpp>
#include <vector>

namespace mortise::image {

/// A layer that is the same above whatever lies below is kept by what it is; one that took something from those below
/// (a parent directory's attributes, the target of a hard link) by what it is together with them.
struct layer_key {
  model::digest own;
  model::digest chain;
};

/// One for each layer, bottom first.
inline std::vector<layer_key> layer_keys(const resolved_image& of) {
  const std::vector<model::digest>& diff_ids = of.config.parsed.diff_ids;
  std::vector<model::digest> own;
  own.reserve(diff_ids.size());
  for (std::size_t at = 0; at < diff_ids.size(); ++at)
    own.push_back(tree_key(of.manifest.parsed.layers[at], diff_ids[at]));
  const std::vector<model::digest> chains = chain_ids(own);
  std::vector<layer_key> out;
  out.reserve(own.size());
  for (std::size_t at = 0; at < own.size(); ++at) out.push_back({own[at], chains[at]});
  return out;
}

}  // namespace mortise::image
