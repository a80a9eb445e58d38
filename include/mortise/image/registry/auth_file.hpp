// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Files of credentials that `docker login` and `podman login` write: config.json, auth.json, .dockercfg.
/// Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/registry/base64.hpp>
#include <mortise/image/registry/secret.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::distribution {

/// What a registry knows a user by.
struct credential {
  std::string username;
  secret password;
  secret identity_token;  ///< to ask for tokens with, instead of name and password
  secret registry_token;  ///< to send to the registry as it is

  [[nodiscard]] bool empty() const {
    return password.empty() && identity_token.empty() && registry_token.empty() && username.empty();
  }
};

/// A credential helper, "docker-credential-NAME", and what to ask it for.
struct helper_query {
  std::string name;    ///< safe as a part of a program's name
  std::string server;  ///< "registry.example.com:5000"
};

/// One way to come by credentials: they are here, or a program has them.
using credential_way = std::variant<credential, helper_query>;

/// How a file is to be read.
enum class auth_form : unsigned char {
  config,       ///< config.json and auth.json: auths, credHelpers, credsStore
  environment,  ///< $DOCKER_AUTH_CONFIG: auths only, so that a variable cannot have a program run
  legacy,       ///< .dockercfg: the registries right at the top
};

/// The key under which Docker keeps what is docker.io's.
inline constexpr std::string_view docker_hub_key = "https://index.docker.io/v1/";

/// Whether a helper's name may become a part of a program's name.
inline bool is_helper_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && model::detail::every(name, [](char c) {
    return model::detail::is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
}

namespace detail {

/// The registry or repository that a key means: "https://host/v1/" is "host", docker.io has three more names. A path
/// after a scheme that is no version of the protocol is kept, so that the key opens less and not more.
inline std::string plain_key(std::string_view key) {
  for (const std::string_view scheme : {std::string_view("https://"), std::string_view("http://")}) {
    if (!key.starts_with(scheme)) continue;
    key.remove_prefix(scheme.size());
    for (const std::string_view version : {std::string_view("/v1"), std::string_view("/v2")}) {
      const std::size_t slash = key.find('/');
      if (slash != std::string_view::npos &&
          (key.substr(slash) == version || key.substr(slash) == concat(version, '/')))
        key = key.substr(0, slash);
    }
    break;
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  const std::size_t slash = std::min(key.find('/'), key.size());
  std::string host = model::detail::lower_case(key.substr(0, slash));
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = model::repository_name::default_registry;
  return concat(host, key.substr(slash));
}

/// Whether `key` is a repository's registry or one of the paths above it, or itself.
inline bool is_prefix(std::string_view key, std::string_view repository) {
  return repository.starts_with(key) && (repository.size() == key.size() || repository[key.size()] == '/') &&
         !key.empty();
}

/// The index of the key that answers for a repository: the longest; of two equal ones the one in its plain spelling.
inline std::optional<std::size_t> best_key(const std::vector<std::string>& keys, std::string_view repository) {
  std::optional<std::size_t> best;
  std::size_t length = 0;
  for (std::size_t each = 0; each < keys.size(); ++each) {
    const std::string plain = plain_key(keys[each]);
    if (!is_prefix(plain, repository)) continue;
    if (best && (plain.size() < length || (plain.size() == length && keys[each] != plain))) continue;
    best = each;
    length = plain.size();
  }
  return best;
}

/// "name:password", of the member auth. Docker of old padded the password with zero bytes.
inline absl::Status take_auth(std::string_view coded, const json::value& at, credential& into) {
  auto decoded = decode_base64(coded);
  if (!decoded) return at.refuse("'auth' is not base64 (log in again)");
  const secret whole(*std::move(decoded));
  std::string_view text = whole.reveal();
  while (text.ends_with('\0')) text.remove_suffix(1);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return at.refuse("'auth' is not name:password in base64 (log in again)");
  into.username = text.substr(0, colon);
  into.password = secret(text.substr(colon + 1));
  return absl::OkStatus();
}

inline absl::StatusOr<credential> read_credential(const json::value& at) {
  credential out;
  MORTISE_ASSIGN_OR_RETURN(out.username, at.text_or("username", ""));
  MORTISE_ASSIGN_OR_RETURN(std::string password, at.text_or("password", ""));
  out.password = secret(std::move(password));
  MORTISE_ASSIGN_OR_RETURN(std::string coded, at.text_or("auth", ""));
  const secret auth(std::move(coded));
  if (!auth.empty()) MORTISE_RETURN_IF_ERROR(take_auth(auth.reveal(), at, out));
  MORTISE_ASSIGN_OR_RETURN(std::string identity, at.text_or("identitytoken", ""));
  out.identity_token = secret(std::move(identity));
  MORTISE_ASSIGN_OR_RETURN(std::string token, at.text_or("registrytoken", ""));
  out.registry_token = secret(std::move(token));
  // What would not go into a request as it is has no business in one.
  const auto good = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (!model::detail::every(out.username, good) || out.username.find(':') != std::string::npos)
    return at.refuse("the name of the user holds a colon or a control character");
  for (const secret* const each : {&out.password, &out.identity_token, &out.registry_token})
    if (!model::detail::every(each->reveal(), good)) return at.refuse("a secret holds a control character");
  return out;
}

}  // namespace detail

/// One file of credentials. It is the user's own, yet what it says of one registry must not keep another from being
/// used: entries are judged when they are asked for.
class auth_file {
 public:
  /// Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED: "parse `subject`: ...". Messages never quote secrets.
  static absl::StatusOr<auth_file> parse(std::string_view text, std::string_view subject,
                                         auth_form form = auth_form::config) {
    MORTISE_ASSIGN_OR_RETURN(auto document,
                             json::document::parse(text, subject, {.size = most_bytes, .values = 50'000}));
    auth_file out(std::move(document), std::string(subject), form);
    if (const absl::Status status = out.read_keys(); !status.ok()) return annotate(status, concat("parse ", subject));
    return out;
  }

  /// The ways to credentials for a repository, the one to try first in front: the helper that is named for it, or else
  /// the one for all; then the file's own entry. Of several keys the one nearest to the repository decides.
  /// Fails with INVALID_ARGUMENT where what answers cannot be read.
  [[nodiscard]] absl::StatusOr<std::vector<credential_way>> find(const model::repository_name& name) const {
    auto out = look_up(name);
    if (!out.ok()) return annotate(out.status(), concat("read credentials in ", subject_));
    return out;
  }

  static constexpr std::size_t most_bytes = std::size_t{1} << 20;

 private:
  auth_file(json::document document, std::string subject, auth_form form)
      : document_(std::move(document)), subject_(std::move(subject)), form_(form) {}

  absl::Status read_keys() {
    const json::value root = document_.root();
    if (form_ == auth_form::legacy) {
      MORTISE_ASSIGN_OR_RETURN(auths_, root.names());
      return absl::OkStatus();
    }
    MORTISE_ASSIGN_OR_RETURN(auths_, root.names_or_none("auths"));
    if (form_ == auth_form::environment) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const auto helpers, root.pairs_or_none("credHelpers"));
    for (const auto& [key, helper] : helpers) {
      helper_keys_.push_back(key);
      helpers_.push_back(helper);
    }
    MORTISE_ASSIGN_OR_RETURN(store_, root.text_or("credsStore", ""));
    return absl::OkStatus();
  }

  [[nodiscard]] absl::StatusOr<std::vector<credential_way>> look_up(const model::repository_name& name) const {
    std::vector<credential_way> out;
    const std::string repository = concat(model::detail::lower_case(name.registry()), '/', name.path());
    const auto own = detail::best_key(helper_keys_, repository);
    // An empty helper for a registry means none for it, whatever there is for the others.
    const std::string& helper = own ? helpers_[*own] : store_;
    if (!helper.empty()) {
      if (!is_helper_name(helper))
        return error(absl::StatusCode::kInvalidArgument,
                     concat("'", printable(helper, 64),
                            "' cannot be a credential helper's name (it takes letters, "
                            "digits, '.', '_', '-')"));
      const std::string key = own ? detail::plain_key(helper_keys_[*own]) : name.registry();
      if (key == model::repository_name::default_registry)
        out.emplace_back(helper_query{helper, std::string(docker_hub_key)});
      out.emplace_back(helper_query{helper, key});
    }
    if (const auto best = detail::best_key(auths_, repository)) {
      MORTISE_ASSIGN_OR_RETURN(credential found, entry(auths_[*best]));
      if (!found.empty()) out.emplace_back(std::move(found));
    }
    return out;
  }

  [[nodiscard]] absl::StatusOr<credential> entry(const std::string& key) const {
    json::value at = document_.root();
    if (form_ != auth_form::legacy) {
      MORTISE_ASSIGN_OR_RETURN(at, at.member("auths"));
    }
    MORTISE_ASSIGN_OR_RETURN(const auto found, at.optional(key));
    return found ? detail::read_credential(*found) : credential{};
  }

  json::document document_;
  std::string subject_;
  auth_form form_;
  std::vector<std::string> auths_;
  std::vector<std::string> helper_keys_;
  std::vector<std::string> helpers_;
  std::string store_;
};

}  // namespace mortise::image::distribution
