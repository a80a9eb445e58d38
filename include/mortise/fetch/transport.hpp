// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a transport is: one HTTP exchange, as it happens. Redirects, retries, resuming and credentials are rules above
/// it (fetch/http.hpp), so that they are the same for every transport and can be tested against a server that
/// misbehaves.

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <mortise/base/status.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::fetch {

enum class method : std::uint8_t { get, head, post };

constexpr std::string_view name_of(method which) {
  constexpr std::string_view names[] = {"GET", "HEAD", "POST"};
  return names[static_cast<std::size_t>(which)];
}

/// What TLS uses besides the system's authorities: paths of PEM files.
struct tls_files {
  std::vector<std::string> authorities;  ///< trusted as well
  std::string certificate;               ///< the client's; empty for none
  std::string key;
  bool operator==(const tls_files&) const = default;
};

/// One request, sent once. Header fields go out as they are: a redirect's target never gets those of its origin unless
/// whoever follows it says so.
struct exchange {
  method verb = method::get;
  uri to;
  std::vector<header> headers{};
  std::string body{};                                               ///< of a POST
  tls_files tls{};                                                  ///< of https only
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< most bytes of the body
  std::chrono::milliseconds connecting{30'000};                     ///< longest time until a connection stands
  std::chrono::milliseconds inactivity{60'000};                     ///< longest time without a byte
  const std::atomic<bool>* cancelled = nullptr;                     ///< set by any thread; null: never
};

/// `T::schemes` as a fetcher has them. exchange() sends one request and follows nothing: whatever status is answered
/// is a success, its body goes to the sink. The response's `total` is the size of this answer's body, where it is told;
/// its `offset` means nothing. May be called by several threads at once.
/// Fails with UNAVAILABLE where no whole answer came (the sink may have got a part of it), PERMISSION_DENIED where TLS
/// does not trust the server, DEADLINE_EXCEEDED for inactivity, RESOURCE_EXHAUSTED for more than `limit` bytes,
/// CANCELLED, and whatever the sink returned. Messages hold no header field and no query.
template <class T>
concept transport = requires(const T& model, const exchange& what, sink& into) {
  { T::schemes.size() } -> std::convertible_to<std::size_t>;
  { T::schemes[0] } -> std::convertible_to<std::string_view>;
  { model.exchange(what, into) } -> std::same_as<absl::StatusOr<response>>;
};

}  // namespace mortise::fetch
