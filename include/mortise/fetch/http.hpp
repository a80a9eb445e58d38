// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Fetches over HTTP whatever the transport: redirects, retries, resuming and questions for credentials.

#include <mortise/fetch/call.hpp>
#include <utility>

namespace mortise::fetch {

/// The fetcher of the transport's schemes. Copies share what the transport's copies share.
template <transport Transport>
class http {
 public:
  static constexpr auto schemes = Transport::schemes;

  explicit http(Transport over = Transport()) : over_(std::move(over)) {}

  /// One resource, as any fetcher gives it.
  absl::StatusOr<response> fetch(const uri& from, const request& what, sink& into) const;

  /// Effects: follows redirects and retries until there is an answer, whatever its status; a body of status 2xx goes to
  /// `into`, which sees begin() once and each byte once, however often the connection broke.
  /// Fails with CANCELLED, RESOURCE_EXHAUSTED for more than `limit` bytes, OUT_OF_RANGE for an offset behind the end,
  /// UNIMPLEMENTED where an `end` is asked for and the server ignores ranges, DATA_LOSS where it contradicts itself or
  /// `total`, PERMISSION_DENIED for TLS and for a redirect that must not be followed, UNAVAILABLE or DEADLINE_EXCEEDED
  /// where all tries failed, and with what the sink or `who` returned.
  absl::StatusOr<answer> run(const call& what, sink& into) const;

 private:
  Transport over_;
};

}  // namespace mortise::fetch
