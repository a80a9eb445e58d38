// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What is asked of fetch::http: a call, which may take many exchanges (redirects, retries, questions for credentials),
/// and the one answer to it.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <mortise/fetch/retry.hpp>
#include <mortise/fetch/transport.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mortise::fetch {

/// Knows what servers want to know of the caller. Asked before each exchange, and told of each answer with status 401.
/// Several calls at once may use one.
class authorizer {
 public:
  authorizer() = default;
  authorizer(const authorizer&) = delete;
  authorizer& operator=(const authorizer&) = delete;
  virtual ~authorizer() = default;

  /// The header fields that belong to `to`, and to nobody else: it may be the target of a redirect.
  virtual absl::StatusOr<std::vector<header>> headers_for(const uri& to) = 0;
  /// Whether to ask `by` once more, since headers_for() has a better answer now. Happens three times a try at most.
  virtual absl::StatusOr<bool> challenged(const uri& by, const response& answer) = 0;
};

/// How often a call's server may say 401 and be asked again.
inline constexpr unsigned most_challenges = 3;
/// The most bytes of the body of a refusal that are kept.
inline constexpr std::size_t most_error_bytes = std::size_t{1} << 20U;

/// What is wanted, and how hard to try.
struct call {
  method verb = method::get;
  uri to;
  /// Sent to every hop, but Authorization and Cookie to hops of `to`'s origin only. Without an Accept-Encoding among
  /// them, "identity" is sent.
  std::vector<header> headers{};
  std::string body{};                                               ///< of a POST
  std::uint64_t offset = 0;                                         ///< the first byte wanted
  std::optional<std::uint64_t> end{};                               ///< one behind the last byte wanted; none: all
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< most bytes the whole resource may have
  std::optional<std::uint64_t> total{};                             ///< what it has, where that is known beforehand
  /// Asked for every https hop, so that no host sees the client certificate of another; null: the system's authorities.
  std::function<absl::StatusOr<tls_files>(const uri&)> tls{};
  authorizer* who = nullptr;  ///< null: nobody
  retry_policy retry{};
  std::chrono::milliseconds connecting{30'000};  ///< longest time until a connection stands
  std::chrono::milliseconds inactivity{60'000};  ///< longest time without a byte
  const std::atomic<bool>* cancelled = nullptr;  ///< set by any thread; null: never
};

/// The last word to a call. A body of status 2xx went to the sink; that of a refusal is here, and the sink saw nothing
/// of it.
struct answer {
  response about;
  uri from{};                ///< who said it, after all redirects
  std::string error_body{};  ///< at most most_error_bytes of it; untrusted
  [[nodiscard]] bool ok() const { return about.status >= 200 && about.status < 300; }
};

}  // namespace mortise::fetch
