// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a program may say about pulling from registries. All of it has defaults that serve most. Needs: RapidJSON.

#include <atomic>
#include <chrono>
#include <mortise/fetch/call.hpp>
#include <mortise/image/registry/certificates.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/keyring.hpp>
#include <mortise/image/registry/requests.hpp>
#include <mortise/image/registry/token_cache.hpp>
#include <mortise/image/registry/warnings.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

struct registry_options {
  std::vector<registry_settings> registries = {};  ///< mirrors, plain HTTP, token servers: of those that need it
  std::vector<login> logins = {};                  ///< credentials that decide before all files
  /// $HOME, $DOCKER_CONFIG and the like, which say where files of credentials lie; none: the process's own.
  std::optional<environment> variables = {};
  helper_limits helpers = {};
  std::vector<std::string> certificates = certificate_directories();  ///< with a directory for each registry
  schema_1 old = schema_1::refused;
  fetch::retry_policy retry = {};
  std::chrono::milliseconds connecting{30'000};  ///< longest time until a connection stands
  std::chrono::milliseconds inactivity{60'000};  ///< longest time without a byte
  std::string agent = "mortise";                 ///< the User-Agent field
  warning_listener warn = {};                    ///< hears what registries warn of
  const std::atomic<bool>* cancelled = nullptr;  ///< set by any thread: ends whatever is asked; null: never
};

/// What all pulls of one program share.
template <class Http>
struct context {
  explicit context(registry_options from = {}, Http by = Http())
      : options(std::move(from)),
        http(std::move(by)),
        keys(options.logins, options.variables, options.helpers),
        heard(options.warn) {}

  registry_options options;
  Http http;
  keyring keys;
  token_cache tokens;
  warnings heard;
};

/// Paths of the certificates that a connection to `to` uses: those of its own host and port, whoever sent us there.
inline absl::StatusOr<fetch::tls_files> tls_files_for(const registry_options& options, const fetch::uri& to) {
  MORTISE_ASSIGN_OR_RETURN(const url at, url::parse(fetch::to_string(to)));
  MORTISE_ASSIGN_OR_RETURN(certificates found, find_certificates(options.certificates, at));
  fetch::tls_files out{std::move(found.authorities), {}, {}};
  if (!found.clients.empty()) {
    out.certificate = found.clients.front().certificate;
    out.key = found.clients.front().key;
  }
  return out;
}

}  // namespace mortise::image::distribution
