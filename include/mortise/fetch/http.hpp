// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Fetches over HTTP whatever the transport: redirects, retries, resuming and questions for credentials.

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <mortise/fetch/body.hpp>
#include <mortise/fetch/call.hpp>
#include <mortise/fetch/redirect.hpp>
#include <utility>

namespace mortise::fetch {

namespace detail {

/// Hears one exchange of a call: a body of status 2xx goes on, that of a refusal is kept.
class hop_sink final : public sink {
 public:
  hop_sink(body& into, const uri& from, std::chrono::steady_clock::time_point deadline)
      : into_(into), from_(from), deadline_(deadline) {}

  absl::Status begin(const response& about) override {
    heard_ = true;
    about_ = about;
    if (!is_success()) return absl::OkStatus();
    return failure_ = into_.begin(about, from_);
  }

  absl::Status write(std::span<const std::byte> piece) override {
    if (std::chrono::steady_clock::now() >= deadline_)
      return failure_ = error(absl::StatusCode::kDeadlineExceeded, "it took longer than the caller's deadline");
    if (is_success()) return failure_ = into_.write(piece);
    const std::size_t taken = std::min(piece.size(), most_error_bytes - refusal_.size());
    refusal_.append(reinterpret_cast<const char*>(piece.data()), taken);
    return taken == piece.size() ? absl::OkStatus() : error(absl::StatusCode::kResourceExhausted, "enough was said");
  }

  [[nodiscard]] const response& about() const { return about_; }
  [[nodiscard]] std::string& refusal() { return refusal_; }
  /// What we refused, or the caller's sink did: no other try will change that.
  [[nodiscard]] const absl::Status& failure() const { return failure_; }
  /// Whether all was heard that matters, even if the exchange failed afterwards: a refusal is one without its body.
  [[nodiscard]] bool is_refused() const { return heard_ && !is_success(); }

 private:
  [[nodiscard]] bool is_success() const { return about_.status >= 200 && about_.status < 300; }

  body& into_;
  const uri& from_;
  std::chrono::steady_clock::time_point deadline_;
  bool heard_ = false;
  response about_;
  std::string refusal_;
  absl::Status failure_;
};

/// One call from its first exchange to its answer.
template <transport Transport>
class conversation {
 public:
  conversation(const Transport& over, const call& what, sink& into) : over_(over), what_(what), body_(what, into) {
    if (const auto deadline = what.retry.deadline) deadline_ = clock::now() + std::min(*deadline, longest_deadline);
  }

  absl::StatusOr<answer> run() {
    MORTISE_RETURN_IF_ERROR(check_call());
    std::uint64_t mark = body_.reached();
    for (unsigned tries = 1;; ++tries) {
      auto out = try_once();
      if (body_.reached() - mark >= what_.retry.progress) {
        mark = body_.reached();
        tries = 1;
      }
      if (!is_worth_another(out) || tries >= what_.retry.tries) return out;
      const auto wait = wait_before_next(out, tries);
      if (deadline_ - clock::now() <= wait) return out;
      MORTISE_RETURN_IF_ERROR(sleep(wait));
    }
  }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds longest_deadline = std::chrono::hours(24 * 366);  // adds to any time

  [[nodiscard]] absl::Status check_call() const {
    if (what_.end && *what_.end <= what_.offset)
      return error(absl::StatusCode::kInvalidArgument, concat("no byte lies from ", what_.offset, " to ", *what_.end));
    return check_cancelled();
  }

  [[nodiscard]] absl::Status check_cancelled() const {
    const bool cancelled = what_.cancelled != nullptr && what_.cancelled->load(std::memory_order_relaxed);
    return cancelled ? error(absl::StatusCode::kCancelled, "cancelled by the caller") : absl::OkStatus();
  }

  [[nodiscard]] bool is_worth_another(const absl::StatusOr<answer>& out) const {
    if (final_) return false;
    return out.ok() ? is_worth_retrying(what_.verb, out->about.status) : is_worth_retrying(what_.verb, out.status());
  }

  [[nodiscard]] std::chrono::milliseconds wait_before_next(const absl::StatusOr<answer>& out, unsigned tries) const {
    if (out.ok())
      if (const auto asked = asked_wait(out->about, ::time(nullptr)))
        return std::min(*asked, what_.retry.longest_asked);
    std::uint32_t random = 0;
    (void)::getrandom(&random, sizeof random, GRND_NONBLOCK);  // without it, the shortest of the waits
    return back_off(what_.retry, tries, random);
  }

  /// In short slices, so that the caller's word is heard soon.
  [[nodiscard]] absl::Status sleep(std::chrono::milliseconds wait) const {
    const auto end = clock::now() + wait;
    const timespec slice{0, 10'000'000};
    while (clock::now() < end) {
      MORTISE_RETURN_IF_ERROR(check_cancelled());
      ::nanosleep(&slice, nullptr);
    }
    return absl::OkStatus();
  }

  /// From the call's own address to an answer that is no redirect and no question for credentials.
  absl::StatusOr<answer> try_once() {
    uri at = what_.to;
    std::vector<header> headers = what_.headers;
    unsigned redirects = 0;
    unsigned challenges = 0;
    for (;;) {
      hop_sink heard(body_, at, deadline_);
      MORTISE_RETURN_IF_ERROR(exchange_once(at, headers, heard));
      const response& about = heard.about();
      if (is_redirect(what_.verb, about.status)) {
        MORTISE_ASSIGN_OR_RETURN(uri next, lasting(next_hop(at, about)));
        if (++redirects > most_redirects)
          return lasting(
              error(absl::StatusCode::kFailedPrecondition, concat("more than ", most_redirects, " redirects")));
        headers = headers_along(std::move(headers), at, next);
        at = std::move(next);
        continue;
      }
      if (about.status == 401 && what_.who != nullptr && ++challenges <= most_challenges) {
        MORTISE_ASSIGN_OR_RETURN(const bool again, lasting(what_.who->challenged(at, about)));
        if (again) continue;
      }
      return conclude(std::move(at), heard);
    }
  }

  /// Effects: one request goes out, and `heard` knows what came of it.
  /// Fails where there is no answer worth looking at.
  absl::Status exchange_once(const uri& at, const std::vector<header>& headers, hop_sink& heard) {
    MORTISE_RETURN_IF_ERROR(check_cancelled());
    MORTISE_ASSIGN_OR_RETURN(const exchange asked, lasting(request_for(at, headers)));
    const auto got = over_.exchange(asked, heard);
    MORTISE_RETURN_IF_ERROR(lasting(heard.failure()));
    MORTISE_RETURN_IF_ERROR(check_cancelled());
    if (got.ok() || heard.is_refused()) return absl::OkStatus();
    return annotate(got.status(), shown(at));
  }

  absl::StatusOr<exchange> request_for(const uri& at, const std::vector<header>& headers) const {
    if (std::find(Transport::schemes.begin(), Transport::schemes.end(), at.scheme) == Transport::schemes.end())
      return error(absl::StatusCode::kUnimplemented, concat("no transport for '", printable(at.scheme), ":'"));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now());
    if (left.count() <= 0)
      return error(absl::StatusCode::kDeadlineExceeded, "it took longer than the caller's deadline");
    exchange out{.verb = what_.verb, .to = at, .headers = headers, .body = what_.body};
    out.connecting = std::min(what_.connecting, left);
    out.inactivity = std::min(what_.inactivity, left);
    out.cancelled = what_.cancelled;
    if (what_.tls && at.scheme == "https") {
      MORTISE_ASSIGN_OR_RETURN(out.tls, what_.tls(at));
    }
    if (what_.who != nullptr) {
      MORTISE_ASSIGN_OR_RETURN(const auto more, what_.who->headers_for(at));
      out.headers.insert(out.headers.end(), more.begin(), more.end());
    }
    if (!field_of(out.headers, "accept-encoding")) out.headers.push_back({"Accept-Encoding", "identity"});
    if (!field_of(out.headers, "user-agent")) out.headers.push_back({"User-Agent", "mortise"});
    if (body_.wants_part()) out.headers.push_back({"Range", body_.range()});
    return out;
  }

  absl::StatusOr<answer> conclude(uri from, hop_sink& heard) {
    answer out{.about = heard.about(), .from = std::move(from), .error_body = std::move(heard.refusal())};
    if (out.about.status == 416 && body_.wants_part()) {
      MORTISE_RETURN_IF_ERROR(lasting(body_.take_nothing(out.about)));
      out.about.status = 206;
      out.error_body.clear();
    }
    if (!out.ok()) return out;
    MORTISE_RETURN_IF_ERROR(annotate(body_.end(), shown(out.from)));
    out.about = body_.about();
    return out;
  }

  /// Remembers that a failure is not of the kind that goes away.
  template <class Result>
  Result lasting(Result result) {
    final_ = final_ || !result.ok();
    return result;
  }

  const Transport& over_;
  const call& what_;
  body body_;
  clock::time_point deadline_ = clock::time_point::max();
  bool final_ = false;
};

/// What a refusal means to somebody who wanted the resource.
inline absl::Status refusal(const answer& given) {
  const int status = given.about.status;
  absl::StatusCode code = absl::StatusCode::kFailedPrecondition;
  if (status == 401 || status == 403 || status == 407) code = absl::StatusCode::kPermissionDenied;
  if (status == 404 || status == 410) code = absl::StatusCode::kNotFound;
  if (status == 408 || status == 429 || status >= 500) code = absl::StatusCode::kUnavailable;
  return error(code, concat(shown(given.from), " answered with status ", status));
}

}  // namespace detail

/// How a fetcher fetches, beyond what each request says.
struct http_settings {
  /// Asked for every https host; null: the system's authorities.
  std::function<absl::StatusOr<tls_files>(const uri&)> tls{};
  retry_policy retry{};
};

/// The fetcher of the transport's schemes. Copies share what the transport's copies share.
template <transport Transport>
class http {
 public:
  static constexpr auto schemes = Transport::schemes;

  explicit http(Transport over = Transport(), http_settings settings = {})
      : over_(std::move(over)), settings_(std::move(settings)) {}

  /// One resource, as any fetcher gives it; a status that is no success is an error.
  absl::StatusOr<response> fetch(const uri& from, const request& what, sink& into) const {
    call asked{.to = from, .headers = what.headers, .offset = what.offset, .limit = what.limit};
    asked.tls = settings_.tls;
    asked.retry = settings_.retry;
    asked.inactivity = what.inactivity;
    asked.cancelled = what.cancelled;
    const std::string doing = concat("fetch '", shown(from), '\'');
    auto out = run(asked, into);
    if (!out.ok()) return annotate(out.status(), doing);
    if (!out->ok()) return annotate(detail::refusal(*out), doing);
    return std::move(out->about);
  }

  /// Effects: follows redirects and retries until there is an answer, whatever its status; a body of status 2xx goes to
  /// `into`, which sees begin() once and each byte once, however often the connection broke.
  /// Fails with CANCELLED, RESOURCE_EXHAUSTED for more than `limit` bytes, OUT_OF_RANGE for an offset behind the end,
  /// UNIMPLEMENTED where an `end` is asked for and the server ignores ranges, DATA_LOSS where it contradicts itself or
  /// `total`, PERMISSION_DENIED for TLS and for a redirect that must not be followed, FAILED_PRECONDITION for too many
  /// of them, UNAVAILABLE or DEADLINE_EXCEEDED where all tries failed, and with what the sink or `who` returned.
  absl::StatusOr<answer> run(const call& what, sink& into) const {
    return detail::conversation<Transport>(over_, what, into).run();
  }

 private:
  Transport over_;
  http_settings settings_;
};

}  // namespace mortise::fetch
