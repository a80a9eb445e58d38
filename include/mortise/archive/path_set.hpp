// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A few paths to remember while a layer is unpacked, whatever a hostile layer would like to have remembered.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// Paths as entry_path spells them. Honest layers put none or few into it.
class path_set {
 public:
  /// Fails with: RESOURCE_EXHAUSTED when they would take more than some megabytes.
  absl::Status insert(std::string path) {
    const std::size_t size = path.size() + overhead;
    if (bytes_ + size > most_bytes)
      return error(absl::StatusCode::kResourceExhausted, "too many names have to be remembered until the layer ends");
    if (paths_.insert(std::move(path)).second) bytes_ += size;
    return absl::OkStatus();
  }

  /// Whether it was there.
  bool erase(std::string_view path) {
    if (paths_.empty()) return false;
    const auto found = paths_.find(path);
    if (found == paths_.end()) return false;
    bytes_ -= found->size() + overhead;
    paths_.erase(found);
    return true;
  }

  [[nodiscard]] bool empty() const { return paths_.empty(); }

  /// Takes out a path and all that lead to it.
  void erase_way(std::string_view path) {
    while (!paths_.empty() && !path.empty()) {
      erase(path);
      const std::size_t slash = path.rfind('/');
      path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
    }
  }

 private:
  static constexpr std::size_t most_bytes = 8 << 20;
  static constexpr std::size_t overhead = 80;  ///< of a node of the set

  std::set<std::string, std::less<>> paths_;
  std::size_t bytes_ = 0;
};

}  // namespace mortise::archive
