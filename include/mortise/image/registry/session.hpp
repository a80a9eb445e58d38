// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Being logged in to one server for one repository: what goes into its Authorization field, when that is renewed, and
/// asking token servers. Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/fetch/call.hpp>
#include <mortise/image/registry/authorization.hpp>
#include <mortise/image/registry/challenge.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/errors.hpp>
#include <mortise/image/registry/fields.hpp>
#include <mortise/image/registry/options.hpp>
#include <mortise/image/registry/secret.hpp>
#include <mortise/image/registry/text_sink.hpp>
#include <mortise/image/registry/token.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::distribution {

namespace detail {

/// A call with what the program said of all calls. Its `tls` refers to `options`.
inline absl::StatusOr<fetch::call> call_to(const registry_options& options, const url& to,
                                           const header_fields& headers) {
  fetch::call out;
  MORTISE_ASSIGN_OR_RETURN(out.to, fetch::parse_uri(to.text()));
  for (const auto& [name, value] : headers) out.headers.push_back({name, value});
  out.headers.push_back({"User-Agent", options.agent});
  out.tls = [&options](const fetch::uri& hop) { return tls_files_for(options, hop); };
  out.retry = options.retry;
  out.connecting = options.connecting;
  out.inactivity = options.inactivity;
  out.cancelled = options.cancelled;
  return out;
}

/// Keeps a question to a token server on its host: a redirect elsewhere would take the credentials, or the question who
/// asks, to somebody whom nobody has checked.
class realm_guard final : public fetch::authorizer {
 public:
  realm_guard(fetch::uri realm, const secret& authorization)
      : realm_(std::move(realm)), authorization_(authorization) {}

  absl::StatusOr<std::vector<fetch::header>> headers_for(const fetch::uri& to) override {
    if (!fetch::same_origin(to, realm_))
      return error(absl::StatusCode::kPermissionDenied, "it redirects to another server, which is not followed");
    if (authorization_.empty()) return std::vector<fetch::header>{};
    return std::vector<fetch::header>{{"Authorization", std::string(authorization_.reveal())}};
  }
  absl::StatusOr<bool> challenged(const fetch::uri& /*by*/, const fetch::response& /*answer*/) override {
    return false;
  }

 private:
  fetch::uri realm_;
  const secret& authorization_;
};

}  // namespace detail

/// One server's state for one pull. Used by several threads at once: while one logs in the others wait.
template <class Http>
class session {
 public:
  session(std::shared_ptr<context<Http>> shared, endpoint at) : shared_(std::move(shared)), at_(std::move(at)) {}

  [[nodiscard]] const endpoint& at() const { return at_; }

  /// What to send now; empty where nothing was asked for yet. A token that is over is refused, and renewed then.
  [[nodiscard]] secret authorization() const {
    const std::lock_guard hold(mutex_);
    return authorization_;
  }

  /// Finds out what to send after a 401 with these fields to `refused`. False where nothing better is to be had.
  /// Fails as `answer_challenge` and the token server do.
  absl::StatusOr<bool> log_in(std::vector<std::string> fields, const secret& refused,
                              const std::atomic<bool>* cancelled = nullptr) {
    const std::lock_guard hold(mutex_);
    if (!authorization_.empty() && authorization_ != refused) return true;  // another thread was faster
    if (fields.empty()) {
      MORTISE_ASSIGN_OR_RETURN(fields, ask_for_challenge(cancelled));
    }
    MORTISE_ASSIGN_OR_RETURN(const auto challenges, parse_challenges(fields));
    if (challenges.empty()) return false;
    MORTISE_RETURN_IF_ERROR(find_credentials());
    MORTISE_ASSIGN_OR_RETURN(auto step, answer_challenge(at_, demand_of(challenges), *credentials_));
    if (auto* const header = std::get_if<header_step>(&step)) {
      if (header->authorization == refused) return false;
      authorization_ = std::move(header->authorization);
      return true;
    }
    MORTISE_RETURN_IF_ERROR(take_token(std::get<token_step>(step), refused, cancelled));
    return true;
  }

 private:
  /// Looked for when a server first asks, once: what is public needs nobody's password.
  absl::Status find_credentials() {
    if (credentials_) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(credentials_, shared_->keys.find(at_.credential_name));
    return absl::OkStatus();
  }

  /// There are registries that say 401 without a challenge where a path is forbidden, and with one at their root.
  absl::StatusOr<std::vector<std::string>> ask_for_challenge(const std::atomic<bool>* cancelled) {
    MORTISE_ASSIGN_OR_RETURN(fetch::call call, detail::call_to(shared_->options, at_.base, tags_headers()));
    if (cancelled != nullptr) call.cancelled = cancelled;
    text_sink ignored(most_error_bytes);
    MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, shared_->http.run(call, ignored));
    if (said.about.status != 401 || !fetch::same_origin(said.from, call.to)) return std::vector<std::string>{};
    return fields_named("www-authenticate", said.about.headers);
  }

  /// Makes a token what is sent: one that is kept, but not the one that was refused, or a new one.
  absl::Status take_token(const token_step& step, const secret& refused, const std::atomic<bool>* cancelled) {
    // Kept for this server only: another one may name the same realm, and must not get what was given for this one.
    const std::string key = concat(at_.base.origin(), '\n', at_.credential_name.registry(), '\n', step.request.key());
    auto token = shared_->tokens.find(key);
    if (token) {
      MORTISE_ASSIGN_OR_RETURN(authorization_, bearer_authorization(*token));
    }
    if (!token || authorization_ == refused) {
      auto fresh = ask_token_server(step, cancelled);
      if (!fresh.ok()) return annotate(fresh.status(), concat("log in to ", at_.base.authority()));
      MORTISE_ASSIGN_OR_RETURN(authorization_, bearer_authorization(fresh->token));
      shared_->tokens.keep(key, std::move(fresh->token), fresh->lifetime);
      if (!step.form.empty() && !fresh->refresh_token.empty()) take_identity(std::move(fresh->refresh_token));
    }
    return absl::OkStatus();
  }

  /// A server may give another identity token for each time that one is used.
  void take_identity(secret fresh) {
    if (credentials_ && *credentials_) (*credentials_)->identity_token = std::move(fresh);
  }

  absl::StatusOr<token_response> ask_token_server(const token_step& step, const std::atomic<bool>* cancelled) {
    if (!step.form.empty()) {
      MORTISE_ASSIGN_OR_RETURN(fetch::call post, detail::call_to(shared_->options, step.request.realm, tags_headers()));
      post.verb = fetch::method::post;
      post.headers.push_back({"Content-Type", std::string(form_media_type)});
      post.body = step.form.reveal();
      MORTISE_ASSIGN_OR_RETURN(const auto said, run_token_call(post, secret(), cancelled));
      // 404 and 405 come of servers that know only the GET.
      if (said) return *said;
    }
    MORTISE_ASSIGN_OR_RETURN(fetch::call get,
                             detail::call_to(shared_->options, step.request.address(), tags_headers()));
    MORTISE_ASSIGN_OR_RETURN(auto said, run_token_call(get, step.authorization, cancelled));
    return *std::move(said);
  }

  /// Nothing where a POST is not known there.
  absl::StatusOr<std::optional<token_response>> run_token_call(fetch::call& call, const secret& authorization,
                                                               const std::atomic<bool>* cancelled) {
    if (cancelled != nullptr) call.cancelled = cancelled;
    detail::realm_guard guard(call.to, authorization);
    call.who = &guard;
    call.limit = most_token_response_bytes;
    text_sink into(most_token_response_bytes);
    const std::string what = concat("ask token server ", printable(*call.to.host, 300));
    auto said = shared_->http.run(call, into);
    if (!said.ok()) return annotate(said.status(), what);
    const int status = said->about.status;
    const bool post = call.verb == fetch::method::post;
    if (post && (status == 404 || status == 405)) return std::optional<token_response>();
    if (!said->ok()) return response_error(what, static_cast<unsigned>(status), said->error_body);
    const secret body(into.take());
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    MORTISE_ASSIGN_OR_RETURN(
        auto out, parse_token_response(body.reveal(), concat("the answer of ", printable(*call.to.host, 300)), now));
    return std::optional(std::move(out));
  }

  std::shared_ptr<context<Http>> shared_;
  endpoint at_;
  mutable std::mutex mutex_;
  std::optional<std::optional<credential>> credentials_;
  secret authorization_;  ///< what is sent
};

/// A call's part in a session. Credentials go to the session's own scheme, host and port, and nowhere that it redirects
/// to.
template <class Http>
class session_guard final : public fetch::authorizer {
 public:
  /// For a call that `cancelled` ends.
  session_guard(session<Http>& of, fetch::uri server, const std::atomic<bool>* cancelled)
      : session_(of), server_(std::move(server)), cancelled_(cancelled) {}

  absl::StatusOr<std::vector<fetch::header>> headers_for(const fetch::uri& to) override {
    if (!fetch::same_origin(to, server_)) return std::vector<fetch::header>{};
    ++questions_;
    sent_ = session_.authorization();
    if (sent_.empty()) return std::vector<fetch::header>{};
    return std::vector<fetch::header>{{"Authorization", std::string(sent_.reveal())}};
  }

  absl::StatusOr<bool> challenged(const fetch::uri& by, const fetch::response& answer) override {
    if (!fetch::same_origin(by, server_)) return false;
    // What had served before has expired; what is refused at once will be refused again.
    if (std::exchange(questions_, 0U) > 1) rounds_ = 0;
    if (++rounds_ > most_rounds) return false;
    return session_.log_in(fields_named("www-authenticate", answer.headers), sent_, cancelled_);
  }

 private:
  static constexpr unsigned most_rounds = 2;

  session<Http>& session_;
  fetch::uri server_;
  const std::atomic<bool>* cancelled_;
  secret sent_;
  unsigned questions_ = 0;  ///< since the last time of logging in
  unsigned rounds_ = 0;     ///< of logging in without use
};

}  // namespace mortise::image::distribution
