// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What registries warn of in Warning fields: each text once, to whoever listens, and acted upon never.

#include <cstddef>
#include <functional>
#include <mortise/base/text.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <mortise/image/registry/fields.hpp>
#include <mortise/image/registry/requests.hpp>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image::distribution {

/// Hears "registry.example.com: text", fit for a terminal. Called by several threads, one at a time.
using warning_listener = std::function<void(std::string_view)>;

/// Passes on what was not said before. Used by several threads at once.
class warnings {
 public:
  explicit warnings(warning_listener listener = {}) : listener_(std::move(listener)) {}

  /// Takes the Warning fields of an answer by `server`.
  void hear(std::string_view server, std::span<const fetch::header> fields) {
    for (const std::string& each : fields_named("warning", fields))
      if (const auto text = warning_text(each)) say(concat(server, ": ", *text));
  }

  /// A warning of our own.
  void say(const std::string& text) {
    const std::lock_guard hold(mutex_);
    // A server that warns of something else each time is not worth more memory.
    if (said_.size() >= most || !said_.insert(text).second) return;
    if (listener_) listener_(text);
  }

 private:
  static constexpr std::size_t most = 256;

  std::mutex mutex_;
  warning_listener listener_;
  std::set<std::string> said_;
};

}  // namespace mortise::image::distribution
