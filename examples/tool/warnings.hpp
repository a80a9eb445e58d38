// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What sources and stores warn of, until it can be said: bars may be on the terminal when they do.

#include <memory>
#include <mortise/image/store_concept.hpp>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tool {

/// Filled by any thread. Copies keep the same.
class kept_warnings {
 public:
  [[nodiscard]] mortise::image::warning_listener listener() const {
    return [to = kept_](std::string_view text) {
      const std::lock_guard hold(to->mutex);
      to->texts.emplace_back(text);
    };
  }
  /// What was heard since it was last asked.
  [[nodiscard]] std::vector<std::string> take() const {
    const std::lock_guard hold(kept_->mutex);
    return std::exchange(kept_->texts, {});
  }

 private:
  struct shared {
    std::mutex mutex;
    std::vector<std::string> texts;
  };

  std::shared_ptr<shared> kept_ = std::make_shared<shared>();
};

}  // namespace tool
