// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The answer to a 401: what to send where, decided in one place so that no credential goes where it does not belong.
/// Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/image/registry/challenge.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/realm.hpp>
#include <mortise/image/registry/scope.hpp>
#include <mortise/image/registry/secret.hpp>
#include <mortise/image/registry/token.hpp>
#include <mortise/image/registry/url.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::distribution {

/// Ask the token server first. Redirects of it to another host are not to be followed.
struct token_step {
  token_request request;
  secret form;           ///< to POST; where empty, or where the server answers 404 or 405, GET `request.address()`
  secret authorization;  ///< the Authorization field of the GET; empty where there is no name and password for it
};
/// Ask the registry again, with this as the Authorization field, on the endpoint's own scheme, host and port only.
struct header_step {
  secret authorization;
};
using authorization_step = std::variant<token_step, header_step>;

namespace detail {

inline absl::Status refuse_login(const endpoint& at, std::string_view why) {
  return error(absl::StatusCode::kUnauthenticated, concat("log in to ", at.base.authority(), ": ", why));
}

inline absl::StatusOr<token_step> token_step_for(const endpoint& at, const bearer_demand& asked,
                                                 const std::optional<credential>& with) {
  MORTISE_ASSIGN_OR_RETURN(url realm, check_realm(asked.realm, at.base, at.realms));
  token_step out{{std::move(realm), asked.service, scopes_for_pull(at.repository, asked.scopes)}, {}, {}};
  if (!with || with->empty()) return out;
  // Going on without them would say "no such image" of one that only they show.
  if (!may_send_credentials(out.request.realm, at.base, at.realms))
    return error(
        absl::StatusCode::kPermissionDenied,
        concat("log in to ", at.base.authority(), ": its token server is on the foreign host ",
               out.request.realm.host(), " (if it may have the password, name it as a realm of the registry)"));
  out.request.account = with->username;
  if (!with->identity_token.empty()) out.form = out.request.refresh_form(with->identity_token);
  if (!with->password.empty()) {
    MORTISE_ASSIGN_OR_RETURN(out.authorization, basic_authorization(with->username, with->password));
  }
  return out;
}

}  // namespace detail

/// What to do about a 401 with these challenges. `with` are the credentials for `at.credential_name`, where there are
/// any. Tokens are asked for reading only, whatever the challenge asks for.
/// Fails with UNAUTHENTICATED where credentials are needed and there are none of the kind asked for;
/// PERMISSION_DENIED where the token server is none that may be asked, or may be given the credentials.
inline absl::StatusOr<authorization_step> answer_challenge(const endpoint& at, const demand& asked,
                                                           const std::optional<credential>& with) {
  if (with && !with->registry_token.empty() && (asked.bearer || asked.basic)) {
    MORTISE_ASSIGN_OR_RETURN(secret token, bearer_authorization(with->registry_token));
    return header_step{std::move(token)};
  }
  if (asked.bearer) {
    MORTISE_ASSIGN_OR_RETURN(auto step, detail::token_step_for(at, *asked.bearer, with));
    // Encoded, what a challenge names becomes three times as long.
    const absl::Status address = url::parse(step.request.address().text()).status();
    if (!address.ok()) return detail::refuse_login(at, message(address));
    return step;
  }
  if (!asked.basic) return detail::refuse_login(at, "it asks for neither Bearer nor Basic authentication");
  if (!with || with->empty())
    return detail::refuse_login(at, "it asks for a name and password (docker login or podman login stores them)");
  if (with->password.empty())
    return detail::refuse_login(at, "it asks for a name and password, and there is an identity token only");
  MORTISE_ASSIGN_OR_RETURN(secret basic, basic_authorization(with->username, with->password));
  return header_step{std::move(basic)};
}

}  // namespace mortise::image::distribution
