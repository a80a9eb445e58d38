// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A registry's own certificates, as Docker's certs.d and containers' certs.d lay them out.

#include <absl/status/statusor.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// A client's certificate and its key: paths of PEM files.
struct client_certificate {
  std::string certificate;
  std::string key;
  bool operator==(const client_certificate&) const = default;
};

/// What a connection to one registry uses besides the system's authorities. Both sorted by name.
struct certificates {
  std::vector<std::string> authorities;  ///< paths of PEM files, trusted for this registry as well
  std::vector<client_certificate> clients;
  bool operator==(const certificates&) const = default;
};

/// Where they lie unless the caller says otherwise; the first directory that has one for the registry decides.
inline std::vector<std::string> certificate_directories() { return {"/etc/containers/certs.d", "/etc/docker/certs.d"}; }

namespace detail {

/// Fails with FAILED_PRECONDITION where one half of a pair is missing.
inline absl::StatusOr<certificates> certificates_in(int parent, const std::string& directory, const std::string& name) {
  const std::string path = concat(directory, '/', name, '/');
  std::vector<std::string> keys;
  certificates out;
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(parent, name, [&](std::string_view entry, unsigned char) {
    const std::string_view stem = entry.substr(0, entry.rfind('.'));
    if (entry.ends_with(".crt")) out.authorities.push_back(concat(path, entry));
    if (entry.ends_with(".cert")) out.clients.push_back({concat(path, entry), concat(path, stem, ".key")});
    if (entry.ends_with(".key")) keys.push_back(concat(path, entry));
    return absl::OkStatus();
  }));
  const auto lacks = [](std::string_view has, std::string_view missing) {
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("read certificates: '", has, "' has no ", missing, " of its name beside it"));
  };
  for (const client_certificate& each : out.clients)
    if (std::find(keys.begin(), keys.end(), each.key) == keys.end()) return lacks(each.certificate, ".key");
  for (const std::string& each : keys)
    if (std::none_of(out.clients.begin(), out.clients.end(), [&](const auto& pair) { return pair.key == each; }))
      return lacks(each, ".cert");
  std::sort(out.authorities.begin(), out.authorities.end());
  std::sort(out.clients.begin(), out.clients.end(),
            [](const auto& a, const auto& b) { return a.certificate < b.certificate; });
  return out;
}

}  // namespace detail

/// The certificates for a registry: *.crt are authorities, *.cert with *.key of the same name a client's. They are
/// looked for under "host:port" and, where the port is the scheme's own, under "host" as well. None where no directory
/// has any.
/// Fails with FAILED_PRECONDITION where one of a pair is missing, or as listing the directory does.
inline absl::StatusOr<certificates> find_certificates(const std::vector<std::string>& directories,
                                                      const url& registry) {
  for (const std::string& directory : directories) {
    const auto opened = sys::open(directory, O_PATH | O_DIRECTORY);
    if (errno_of(opened.status()) == ENOENT || errno_of(opened.status()) == ENOTDIR) continue;
    if (!opened.ok()) return opened.status();
    std::vector<std::string> names{concat(registry.host(), ':', registry.port())};
    if (registry.authority() == registry.host()) names.push_back(registry.host());
    for (const std::string& name : names) {
      if (::faccessat(opened->get(), name.c_str(), F_OK, 0) != 0) continue;
      return detail::certificates_in(opened->get(), directory, name);
    }
  }
  return certificates{};
}

}  // namespace mortise::image::distribution
