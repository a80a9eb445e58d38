// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Appc manifests for tests, made of pieces.

#include <mortise/base/text.hpp>
#include <string>
#include <string_view>

namespace support {

/// A manifest with `more` members behind the three that must be there.
inline std::string aci_manifest(std::string_view more = {}, std::string_view name = "example.com/app") {
  return mortise::concat(R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":")", name, '"',
                         more.empty() ? "" : ",", more, '}');
}

/// A manifest whose app has `more` members behind the two that must be there.
inline std::string aci_app(std::string_view more = {}) {
  return aci_manifest(mortise::concat(R"("app":{"user":"0","group":"0")", more.empty() ? "" : ",", more, '}'));
}

/// A manifest whose app has one isolator.
inline std::string aci_isolator(std::string_view name, std::string_view value) {
  return aci_app(mortise::concat(R"("isolators":[{"name":")", name, R"(","value":)", value, "}]"));
}

}  // namespace support
