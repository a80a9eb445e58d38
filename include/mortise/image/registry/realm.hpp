// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which token server a registry may send us to, and which one may be told the registry's password. A challenge is a
/// stranger's text: CVE-2020-15157, CVE-2026-48978.

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/model/reference.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mortise::image::distribution {

namespace detail {

/// One is the other with labels before it; the shorter has two labels at least, and neither is a number.
inline bool is_above(std::string_view above, std::string_view below) {
  return below.size() > above.size() && below.ends_with(above) && below[below.size() - above.size() - 1] == '.' &&
         above.find('.') != std::string_view::npos && !looks_numeric(above);
}
inline bool is_listed(std::span<const std::string> hosts, std::string_view host) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [host](const std::string& each) { return model::detail::lower_case(each) == host; });
}
inline bool is_preset(std::string_view registry, std::string_view realm) {
  return registry == "registry-1.docker.io" && realm == "auth.docker.io";
}

}  // namespace detail

/// The address of a challenge's token server, if a token may be asked for there. `registry` is where the challenge came
/// from; `allowed` are hosts that the user names for this registry: they may lie in private networks, and where there
/// are any, no other host but the registry's own will do.
/// Fails with PERMISSION_DENIED for a realm that is not https where the registry is, or is on this machine or a private
/// address while the registry is not; with INVALID_ARGUMENT for what is no address.
inline absl::StatusOr<url> check_realm(std::string_view realm, const url& registry,
                                       std::span<const std::string> allowed = {}) {
  const auto refuse = [&](std::string_view why) {
    return error(absl::StatusCode::kPermissionDenied, concat("ask for a token of ", registry.origin(), " at '",
                                                             printable(realm.substr(0, realm.find('?'))), "': ", why));
  };
  auto parsed = url::parse(realm);
  if (!parsed.ok()) return annotate(parsed.status(), concat("ask for a token of ", registry.origin()));
  const bool same_host = parsed->host() == registry.host();
  if (!parsed->secure()) {
    if (registry.secure()) return refuse("it is not https, and the registry is");
    if (!same_host && reach_of(parsed->host()) != reach::loopback) return refuse("it is not https, on another host");
  }
  if (same_host || detail::is_listed(allowed, parsed->host())) return parsed;
  if (!allowed.empty()) return refuse("the host is not among those that are allowed as realms of this registry");
  const reach there = reach_of(parsed->host());
  const reach here = reach_of(registry.host());
  if (there == reach::loopback && here != reach::loopback) return refuse("it is on this machine, the registry is not");
  if (there == reach::local && here == reach::open)
    return refuse("it is in a private network, the registry is not (allow its host as a realm if it is yours)");
  return parsed;
}

/// Whether the credentials of a registry may go to a token server that `check_realm` has passed: one on the same host,
/// on a host above or below it in the domain name system, one known of old (docker.io's), or one that the user names.
/// A mere neighbour (auth.example.com of registry.example.com) has to be named: without a list of public suffixes it
/// cannot be told from a stranger under co.uk.
inline bool may_send_credentials(const url& realm, const url& registry, std::span<const std::string> allowed = {}) {
  if (!realm.secure() && registry.secure()) return false;
  const std::string& host = realm.host();
  return host == registry.host() || detail::is_above(host, registry.host()) ||
         detail::is_above(registry.host(), host) || detail::is_listed(allowed, host) ||
         (realm.secure() && detail::is_preset(registry.host(), host)) ||
         (reach_of(host) == reach::loopback && reach_of(registry.host()) == reach::loopback);
}

}  // namespace mortise::image::distribution
