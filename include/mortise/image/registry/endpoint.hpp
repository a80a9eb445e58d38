// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where a repository is asked for: its mirrors in order, then its registry, each with what may be sent there.

#include <absl/status/statusor.h>

#include <algorithm>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// A server that has copies. What it gives is checked against digests, so it need not be trusted with contents.
struct mirror {
  std::string address;         ///< "host[:port][/prefix]", or with https:// or http:// before it
  bool resolves_tags = true;   ///< asked for tags too, and so trusted to say what is newest
  bool add_namespace = false;  ///< told by ?ns= which registry is meant, as mirrors of several need it
  bool plain_http = false;     ///< spoken to without TLS
};

/// What the user says of one registry.
struct registry_settings {
  std::string registry;  ///< as in references: "docker.io", "registry.example.com:5000"
  std::vector<mirror> mirrors = {};
  std::vector<std::string> realms = {};  ///< hosts that may be its token server, and get its credentials
  bool plain_http = false;               ///< spoken to without TLS, credentials too
  bool mirrors_only = false;             ///< never asked itself
};

/// One server to ask. Only `endpoints_of` makes it, so that nobody adds credentials to an address by hand.
struct endpoint {
  url base;                                ///< "https://registry-1.docker.io/v2/"
  std::string repository;                  ///< as this server names it
  model::repository_name credential_name;  ///< whose credentials may go here: a mirror's are its own
  std::string origin_registry;             ///< for ?ns=; empty where it is not told
  std::vector<std::string> realms;
  bool is_mirror = false;
  bool resolves_tags = true;
  bool only_if_unreachable = false;  ///< not to be asked where the one before has answered, whatever it said
};

namespace detail {

/// Registries whose address is not their name.
inline std::string network_name(std::string_view registry) {
  return registry == model::repository_name::default_registry ? "registry-1.docker.io" : std::string(registry);
}

struct server {
  url base;
  bool only_if_unreachable;
};

/// The servers that a host[:port] may be: https; http where it is asked for; both, https first, on this machine.
inline absl::StatusOr<std::vector<server>> servers_of(std::string_view host_port, bool plain_http) {
  std::vector<server> out;
  MORTISE_ASSIGN_OR_RETURN(const url secure, url::parse(concat("https://", host_port, "/v2/")));
  MORTISE_ASSIGN_OR_RETURN(const url plain, url::parse(concat("http://", host_port, "/v2/")));
  if (!plain_http) out.push_back({secure, false});
  if (plain_http || reach_of(secure.host()) == reach::loopback) out.push_back({plain, !plain_http});
  return out;
}

struct mirror_address {
  std::string host_port;
  std::string prefix;
  bool secure_only = false;
};

inline absl::StatusOr<mirror_address> parse_mirror(const mirror& from) {
  const auto refuse = [&from](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument,
                 concat("read mirror '", printable(from.address.substr(from.address.rfind('@') + 1), 160), "': ", why));
  };
  std::string_view rest = from.address;
  mirror_address out;
  if (rest.starts_with("https://")) {
    if (from.plain_http) return refuse("it says https:// and plain_http");
    out.secure_only = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    const auto parsed = url::parse(rest);
    if (!parsed.ok()) return refuse(message(parsed.status()));
    if (!from.plain_http && reach_of(parsed->host()) != reach::loopback)
      return refuse("it is plain http on another machine (set plain_http if that is meant)");
    rest.remove_prefix(7);
  } else if (rest.find("://") != std::string_view::npos) {
    return refuse("its scheme is neither https nor http");
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  out.host_port = model::detail::lower_case(rest.substr(0, slash));
  if (slash != rest.size()) out.prefix = rest.substr(slash + 1);
  if (out.host_port == "docker.io" || out.host_port == "index.docker.io") out.host_port = "registry-1.docker.io";
  if (!url::parse(concat("https://", out.host_port, "/")).ok()) return refuse("it does not begin with a host[:port]");
  return out;
}

/// The name under which files of credentials know a server: "mirror/x" would mean docker.io's, and its password.
inline absl::StatusOr<model::repository_name> name_at(std::string_view host_port, std::string_view repository) {
  if (host_port == "registry-1.docker.io") return model::repository_name::parse(concat("docker.io/", repository));
  auto name = model::repository_name::parse(concat(host_port, '/', repository));
  if (!name.ok() || name->registry() == host_port) return name;
  // A host without dot or port: with a port it can be nothing else.
  return model::repository_name::parse(concat(host_port, ":443/", repository));
}

inline absl::Status add_mirror(const mirror& from, const model::reference& of, std::vector<endpoint>& out) {
  MORTISE_ASSIGN_OR_RETURN(const mirror_address address, parse_mirror(from));
  const std::string path = concat(address.prefix, address.prefix.empty() ? "" : "/", of.name().path());
  MORTISE_ASSIGN_OR_RETURN(auto servers, servers_of(address.host_port, from.plain_http));
  if (from.address.starts_with("http://") && servers.size() > 1) servers.erase(servers.begin());
  for (const server& each : servers) {
    if (address.secure_only && !each.base.secure()) continue;
    auto name = name_at(address.host_port, path);
    if (!name.ok()) return annotate(name.status(), concat("read mirror '", printable(from.address, 160), '\''));
    // The list of realms is the registry's own: it would let a mirror's challenge name the registry's token server.
    out.push_back({each.base,
                   path,
                   *std::move(name),
                   from.add_namespace ? of.name().registry() : std::string(),
                   {},
                   true,
                   from.resolves_tags,
                   each.only_if_unreachable && servers.size() > 1});
  }
  return absl::OkStatus();
}

inline absl::Status add_origin(const registry_settings& settings, const model::reference& of,
                               std::vector<endpoint>& out) {
  MORTISE_ASSIGN_OR_RETURN(const auto servers, servers_of(network_name(of.name().registry()), settings.plain_http));
  for (const server& each : servers)
    out.push_back({each.base, of.name().path(), of.name(), {}, settings.realms, false, true, each.only_if_unreachable});
  return absl::OkStatus();
}

}  // namespace detail

/// The servers to ask for an image, in order: the mirrors of its registry, then the registry itself. Where the
/// reference has no digest, mirrors that may not resolve tags are in the list too: for what comes after the manifest.
/// Fails with INVALID_ARGUMENT where a mirror is written wrongly, FAILED_PRECONDITION where nobody is left to ask.
inline absl::StatusOr<std::vector<endpoint>> endpoints_of(const model::reference& of,
                                                          const std::vector<registry_settings>& all = {}) {
  registry_settings settings{of.name().registry()};
  for (const registry_settings& each : all) {
    const std::string name = model::detail::lower_case(each.registry);
    if (name == model::detail::lower_case(of.name().registry())) settings = each;
  }
  std::vector<endpoint> out;
  for (const mirror& each : settings.mirrors) MORTISE_RETURN_IF_ERROR(detail::add_mirror(each, of, out));
  if (!settings.mirrors_only) MORTISE_RETURN_IF_ERROR(detail::add_origin(settings, of, out));
  const bool resolvable =
      of.digest() || std::any_of(out.begin(), out.end(), [](const endpoint& each) { return each.resolves_tags; });
  if (!out.empty() && resolvable) return out;
  return error(absl::StatusCode::kFailedPrecondition,
               concat("find a server for '", of.text(), "': only mirrors may be asked, and ",
                      out.empty() ? "there is none" : "none may resolve a tag", " (add one, or name a digest)"));
}

}  // namespace mortise::image::distribution
