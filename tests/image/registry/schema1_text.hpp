// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Writes manifests of schema 1 for tests.

#include <image/layout_builder.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <string>
#include <vector>

namespace support {

struct schema_1_layer {
  std::string blob;
  bool throwaway = false;
};

/// An unsigned manifest of these layers, bottom first, as the top of which /run is started.
inline std::string schema_1_text(const std::vector<schema_1_layer>& layers) {
  std::vector<std::string> blobs;
  std::vector<std::string> steps;
  for (std::size_t at = layers.size(); at-- > 0;) {
    std::string step = mortise::concat(R"({"id":"id)", at, '"');
    if (at > 0) mortise::append(step, R"(,"parent":"id)", at - 1, '"');
    if (layers[at].throwaway) step += R"(,"throwaway":true)";
    if (at + 1 == layers.size()) step += R"(,"os":"linux","architecture":"amd64","config":{"Cmd":["/run"]})";
    step += '}';
    blobs.push_back(mortise::concat(R"({"blobSum":")", sha256(layers[at].blob), R"("})"));
    steps.push_back(mortise::concat(R"({"v1Compatibility":)", mortise::image::json::quoted(step), '}'));
  }
  return mortise::concat(R"({"schemaVersion":1,"name":"app","tag":"latest","architecture":"amd64","fsLayers":[)",
                         mortise::join(blobs, ","), R"(],"history":[)", mortise::join(steps, ","), "]}");
}

}  // namespace support
