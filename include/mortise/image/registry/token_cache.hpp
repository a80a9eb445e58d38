// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Tokens that token servers gave out, kept until they expire.

#include <chrono>
#include <map>
#include <mortise/image/registry/secret.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace mortise::image::distribution {

/// How long before its end a token is not taken from here any more: it has a way to go, and clocks differ.
inline constexpr std::chrono::seconds token_margin{10};

/// Keeps tokens in memory, by what was asked where, for whom and for which server. Used by several threads at once.
class token_cache {
 public:
  using clock = std::chrono::steady_clock;

  /// What there is under a key and not over yet.
  [[nodiscard]] std::optional<secret> find(const std::string& key, clock::time_point now = clock::now()) const {
    const std::lock_guard hold(mutex_);
    const auto found = kept_.find(key);
    if (found == kept_.end() || now >= found->second.end) return std::nullopt;
    return found->second.token;
  }

  /// Keeps a token that came `now`, in the place of an older one. What is over is thrown away, so that a process that
  /// never ends holds no more than it uses.
  void keep(const std::string& key, secret token, std::chrono::seconds lifetime, clock::time_point now = clock::now()) {
    const std::lock_guard hold(mutex_);
    std::erase_if(kept_, [now](const auto& each) { return now >= each.second.end; });
    kept_.insert_or_assign(key, entry{std::move(token), now + lifetime - token_margin});
  }

 private:
  struct entry {
    secret token;
    clock::time_point end;  ///< of a clock that does not jump
  };

  mutable std::mutex mutex_;
  std::map<std::string, entry> kept_;
};

}  // namespace mortise::image::distribution
