// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Asking a token server and reading its answer: distribution's token protocol and its OAuth 2 form.
/// Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/registry/base64.hpp>
#include <mortise/image/registry/scope.hpp>
#include <mortise/image/registry/secret.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image::distribution {

/// The value of an Authorization field that sends a name and a password.
/// Fails with INVALID_ARGUMENT where RFC 7617 has no way to send them: a colon in the name, control characters.
inline absl::StatusOr<secret> basic_authorization(std::string_view username, const secret& password) {
  const auto refuse = [](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("send a name and password: ", why));
  };
  const auto good = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (username.find(':') != std::string_view::npos) return refuse("the name has a colon in it");
  if (!model::detail::every(username, good) || !model::detail::every(password.reveal(), good))
    return refuse("there is a control character in them");
  secret pair(concat(username, ':', password.reveal()));
  secret coded(encode_base64(pair.reveal()));
  return secret(concat("Basic ", coded.reveal()));
}

/// The value of an Authorization field that sends a token. Tokens are opaque, but only visible ASCII goes into a field.
/// Fails with INVALID_ARGUMENT for anything else.
inline absl::StatusOr<secret> bearer_authorization(const secret& token) {
  const auto good = [](char c) { return c > 0x20 && c < 0x7f; };
  if (token.empty() || !model::detail::every(token.reveal(), good))
    return error(absl::StatusCode::kInvalidArgument, "send a token: it is empty or holds more than visible ASCII");
  return secret(concat("Bearer ", token.reveal()));
}

/// What to ask a token server. `realm` is one that `check_realm` has passed.
struct token_request {
  url realm;
  std::string service;
  scope_set scopes;
  std::string account = {};  ///< the name of the user, where there are credentials
  std::string client = "mortise";

  /// The address to GET. Name and password, where there are any, go into its Authorization field and not in here.
  [[nodiscard]] url address() const {
    url out = realm;
    if (!service.empty()) out = out.with_query(concat("service=", percent_encoded(service)));
    for (const std::string& each : scopes.texts()) out = out.with_query(concat("scope=", percent_encoded(each)));
    if (!account.empty()) out = out.with_query(concat("account=", percent_encoded(account)));
    return out.with_query(concat("client_id=", percent_encoded(client)));
  }
  /// The form to POST to the realm, as application/x-www-form-urlencoded, with an identity token. A server that answers
  /// 404 or 405 to it knows only the GET.
  [[nodiscard]] secret refresh_form(const secret& identity_token) const {
    return form(concat("grant_type=refresh_token&refresh_token=", percent_encoded(identity_token.reveal())));
  }
  /// The same with name and password.
  [[nodiscard]] secret password_form(std::string_view username, const secret& password) const {
    return form(concat("grant_type=password&username=", percent_encoded(username),
                       "&password=", percent_encoded(password.reveal())));
  }
  /// Under which an answer may be kept: what was asked where by whom, and nothing that is secret.
  [[nodiscard]] std::string key() const {
    return concat(realm.text(), '\n', percent_encoded(service), '\n', percent_encoded(account), '\n', scopes.text());
  }

 private:
  [[nodiscard]] secret form(std::string grant) const {
    append(grant, "&service=", percent_encoded(service), "&client_id=", percent_encoded(client));
    if (!scopes.empty()) append(grant, "&scope=", percent_encoded(scopes.text()));
    return secret(std::move(grant));
  }
};

inline constexpr std::string_view form_media_type = "application/x-www-form-urlencoded";
/// The most bytes of a token server's answer.
inline constexpr std::size_t most_token_response_bytes = std::size_t{1} << 20;

/// A token server's answer.
struct token_response {
  secret token;
  secret refresh_token;           ///< an identity token for the next time, where the server gave one
  std::chrono::seconds lifetime;  ///< from its arrival on
};

namespace detail {

/// Seconds since 1970 of an RFC 3339 time; nothing for anything else.
inline std::optional<std::chrono::sys_seconds> parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto number = [text](std::size_t at, std::size_t count) {
    const std::string_view digits = text.substr(at, count);
    return model::detail::every(digits, model::detail::is_digit) ? parse_number<int>(digits) : std::nullopt;
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] | 0x20) != 't' || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const auto years = number(0, 4), months = number(5, 2), days = number(8, 2);
  const auto hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!years || !months || !days || !hour || !minute || !second) return std::nullopt;
  const year_month_day date{year(*years), month(static_cast<unsigned>(*months)), day(static_cast<unsigned>(*days))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  sys_seconds out = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  std::size_t at = 19;
  if (text[at] == '.') at = std::min(text.find_first_not_of("0123456789", at + 1), text.size());
  const std::string_view zone = text.substr(at);
  if (zone == "Z" || zone == "z") return out;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  const auto ahead_hours = number(at + 1, 2), ahead_minutes = number(at + 4, 2);
  if (!ahead_hours || !ahead_minutes || *ahead_hours > 23 || *ahead_minutes > 59) return std::nullopt;
  const auto ahead = hours(*ahead_hours) + minutes(*ahead_minutes);
  return zone[0] == '+' ? out - ahead : out + ahead;
}

/// How long a token serves. The protocol's default is a minute, and less than that nobody may give out. A token that
/// was cached on its way has lost what issued_at says, unless that is clocks that differ.
inline std::chrono::seconds lifetime_of(std::optional<std::uint64_t> expires_in, std::string_view issued_at,
                                        std::chrono::sys_seconds now) {
  using std::chrono::seconds;
  constexpr seconds least{60};
  constexpr seconds most{24 * 60 * 60};
  const seconds stated(static_cast<std::int64_t>(
      std::min<std::uint64_t>(expires_in.value_or(0), static_cast<std::uint64_t>(most.count()))));
  const auto issued = parse_time(issued_at);
  const seconds age = issued ? now - *issued : seconds(0);
  const bool believable = age > seconds(0) && age < stated;
  return std::max(least, believable ? stated - age : stated);
}

inline absl::StatusOr<secret> read_token(const json::value& from, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(std::string text, from.text_or(name, ""));
  constexpr std::size_t most = std::size_t{64} << 10;
  secret out(std::move(text));
  if (out.reveal().size() > most) return from.refuse(concat("'", name, "' is longer than ", most, " bytes"));
  if (!out.empty() && !bearer_authorization(out).ok())
    return from.refuse(concat("'", name, "' holds more than visible ASCII"));
  return out;
}

inline absl::StatusOr<token_response> read_token_response(const json::value& root, std::chrono::sys_seconds now) {
  MORTISE_ASSIGN_OR_RETURN(secret token, read_token(root, "token"));
  if (token.empty()) {
    MORTISE_ASSIGN_OR_RETURN(token, read_token(root, "access_token"));
  }
  if (token.empty()) return root.refuse("there is neither 'token' nor 'access_token'");
  MORTISE_ASSIGN_OR_RETURN(secret refresh, read_token(root, "refresh_token"));
  MORTISE_ASSIGN_OR_RETURN(const auto expires_at, root.optional("expires_in"));
  std::optional<std::uint64_t> expires_in;
  if (expires_at) {
    // Servers have been seen to send null, 0 and negative numbers; all mean the least there is.
    const auto count = expires_at->count();
    if (count.ok()) expires_in = *count;
  }
  const auto issued_at = root.text_or("issued_at", "");
  return token_response{std::move(token), std::move(refresh),
                        lifetime_of(expires_in, issued_at.ok() ? *issued_at : std::string(), now)};
}

}  // namespace detail

/// Parses what a token server says with status 200; `now` is when it came. Messages never quote it.
/// Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED: "parse `subject`: ...".
inline absl::StatusOr<token_response> parse_token_response(std::string_view text, std::string_view subject,
                                                           std::chrono::sys_seconds now) {
  MORTISE_ASSIGN_OR_RETURN(
      const auto document,
      json::document::parse(text, subject, {.size = most_token_response_bytes, .depth = 16, .values = 1000}));
  auto out = detail::read_token_response(document.root(), now);
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

}  // namespace mortise::image::distribution
