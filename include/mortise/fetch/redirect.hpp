// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where a redirect leads, and what goes along: decisions that need no network.

#include <algorithm>
#include <mortise/fetch/transport.hpp>
#include <string>
#include <vector>

namespace mortise::fetch {

/// The most redirects that one request follows.
inline constexpr unsigned most_redirects = 10;

/// Whether an answer sends the asker elsewhere. That to a POST never does: what is in its body was for one server.
constexpr bool is_redirect(method verb, int status) {
  const bool elsewhere = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  return elsewhere && verb != method::post;
}

namespace detail {

/// Never less safe than before, and never to something on this host that a server has no business naming: another
/// scheme's files, another socket.
inline bool may_lead(const uri& from, const uri& to) {
  if (from.scheme == "http") return to.scheme == "http" || to.scheme == "https";
  if (from.scheme == "https") return to.scheme == "https";
  return to.scheme == from.scheme && to.host == from.host;
}

}  // namespace detail

/// Where the redirect `about`, given by `from`, leads.
/// Fails with FAILED_PRECONDITION where it names no place, PERMISSION_DENIED where it must not be followed.
inline absl::StatusOr<uri> next_hop(const uri& from, const response& about) {
  const auto location = field_of(about.headers, "location");
  if (!location)
    return error(absl::StatusCode::kFailedPrecondition, concat("follow redirect ", about.status, ": no Location"));
  const auto to = resolve(from, *location);
  if (!to.ok())
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("follow redirect ", about.status, ": ", message(to.status())));
  if (detail::may_lead(from, *to)) return *to;
  const bool downgrade = from.scheme == "https" && to->scheme == "http";
  return error(absl::StatusCode::kPermissionDenied,
               concat("follow redirect from '", shown(from), "' to '", shown(*to),
                      "': ", downgrade ? "it would leave TLS" : "it leads to another kind of place"));
}

/// The header fields that go along from one hop to the next: credentials stay with the origin that they were meant for.
inline std::vector<header> headers_along(std::vector<header> headers, const uri& from, const uri& to) {
  if (same_origin(from, to)) return headers;
  std::erase_if(headers, [](const header& each) {
    return is_named(each, "authorization") || is_named(each, "cookie") || is_named(each, "proxy-authorization");
  });
  return headers;
}

}  // namespace mortise::fetch
