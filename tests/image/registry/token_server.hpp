// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A token server that checks what it is asked, and the other half of it: a registry's doorkeeper.

#include <functional>
#include <map>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/base64.hpp>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <support/http_server.hpp>
#include <vector>

namespace support {

/// The values of a query or form, percent-decoded, by name.
inline std::multimap<std::string, std::string> form_values(std::string_view text) {
  std::multimap<std::string, std::string> out;
  for (const std::string_view each : mortise::split(text, '&')) {
    std::string plain;
    for (std::size_t at = 0; at < each.size(); ++at) {
      if (each[at] != '%') {
        plain.push_back(each[at]);
        continue;
      }
      plain.push_back(static_cast<char>(mortise::parse_number<int>(each.substr(at + 1, 2), 16).value_or(0)));
      at += 2;
    }
    const std::size_t equals = plain.find('=');
    out.emplace(plain.substr(0, equals), equals == std::string::npos ? "" : plain.substr(equals + 1));
  }
  return out;
}

inline std::string basic_field(std::string_view user, std::string_view password) {
  return "Basic " + mortise::image::distribution::encode_base64(mortise::concat(user, ':', password));
}

/// Gives tokens that serve for `uses` requests. Without a user it gives them to everybody.
class token_server {
 public:
  token_server() : server([this](const http_request& asked, http_connection& to) { answer(asked, to); }) {}

  std::string user;  ///< who may ask by GET with `password`
  std::string password;
  std::string identity;  ///< the refresh token of POST; changes with each where `rotates`
  bool knows_post = true;
  bool rotates = false;
  int uses = 1'000'000;
  std::function<bool(const http_request&, http_connection&)> first;  ///< may answer instead

  /// A challenge that leads here.
  [[nodiscard]] std::string challenge(std::string_view scope = "repository:app:pull",
                                      std::string_view error = {}) const {
    std::string out =
        mortise::concat("Bearer realm=\"", server.url("/token"), "\",service=\"test\",scope=\"", scope, '"');
    if (!error.empty()) mortise::append(out, ",error=\"", error, '"');
    return out;
  }

  /// Whether the request has a token for `scope` that is not used up; uses it.
  bool admits(const http_request& asked, const std::string& scope = "repository:app:pull") {
    const std::lock_guard hold(mutex_);
    const auto found = tokens_.find(asked.field("authorization"));
    return found != tokens_.end() && found->second.scopes.contains(scope) && found->second.left-- > 0;
  }

  /// A registry's first word: a challenge to whoever is not admitted.
  std::function<bool(const http_request&, http_connection&)> doorkeeper() {
    return [this](const http_request& asked, http_connection& to) {
      if (admits(asked)) return false;
      to.answer(401, {{"WWW-Authenticate", challenge()}}, "");
      return true;
    };
  }

 private:
  struct token {
    std::set<std::string> scopes;
    int left = 0;
  };

  void answer(const http_request& asked, http_connection& to) {
    if (first && first(asked, to)) return;
    const auto values = form_values(asked.method == "POST" ? asked.body : asked.query());
    const auto value = [&values](const char* name) {
      const auto found = values.find(name);
      return found == values.end() ? std::string() : found->second;
    };
    if (asked.path() != "/token" || value("service") != "test" || value("client_id").empty())
      return to.answer(400, {}, "");
    const std::lock_guard hold(mutex_);
    std::set<std::string> scopes;
    if (asked.method == "POST") {
      if (!knows_post) return to.answer(405, {}, "");
      if (value("grant_type") != "refresh_token" || value("refresh_token") != identity || identity.empty())
        return to.answer(401, {}, R"({"error":"invalid_grant","error_description":"no such token"})");
      const std::string wanted = value("scope");
      for (const std::string_view each : mortise::split(wanted, ' ')) scopes.emplace(each);
      if (rotates) identity += '+';
    } else {
      if (!user.empty() && (asked.field("authorization") != basic_field(user, password) || value("account") != user))
        return to.answer(401, {}, R"({"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]})");
      const auto [begin, end] = values.equal_range("scope");
      for (auto each = begin; each != end; ++each) scopes.insert(each->second);
    }
    const std::string name = mortise::concat("t-", ++count_);
    tokens_["Bearer " + name] = {scopes, uses};
    const std::string more = rotates ? mortise::concat(R"(,"refresh_token":")", identity, '"') : "";
    to.answer(200, {}, mortise::concat(R"({"token":")", name, R"(","expires_in":300)", more, '}'));
  }

  std::mutex mutex_;
  std::map<std::string, token> tokens_;
  int count_ = 0;

 public:
  http_server server;  // the last to be made and the first to go: its threads use the rest
};

}  // namespace support
